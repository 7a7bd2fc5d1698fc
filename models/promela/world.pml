/*
 * A bounded world of the job state machine, for SPIN to count: written after the specification, from nothing in jsm/.
 *
 * One process whose every option is one d_step, so that a stored state is a state of the world and a transition is an
 * operation with all that follows from it at once: tubes wake, waiting clients are served, answers go out. The
 * vector is canonical: ids in order, a deleted one stays gone; fields that a job's state doesn't use are 0; time is
 * what is left; waiting and buried ones carry their rank.
 *
 * Bounds and features are macros (models/promela.py sets them):
 *   JOBS      puts in all, 1 to 5             PAUSE      longest pause in seconds, 0 to 2; 0: none
 *   TUBES     1 or 2; the first is "default"  DEADLINE   longest reserve deadline in seconds, -1 to 2; -1: none
 *   CLIENTS   2 or 3                          SOON       DeadlineSoon to those that hold a job with <= 1 s left
 *   TTR       seconds to run                  BUSY       a waiting client may do anything but ask again
 *   DELAY     seconds of a delayed job        BYID       reserve by id
 *   NEWPRI    release and bury set priorities CLOSE      clients close
 *   CHECK     assert the invariants           SUM        add up the transitions
 */

#define NEW      0
#define READY    1
#define DELAYED  2
#define RESERVED 3
#define BURIED   4
#define GONE     5

#define NONE     255
#define NEVER    255

byte born;                /* puts so far; the next id */
byte state[JOBS];
byte pri[JOBS];
byte left[JOBS];          /* DELAYED: until ready; RESERVED: until expiry */
byte owner[JOBS];         /* RESERVED: client + 1 */
byte rank[JOBS];          /* BURIED: 1 = the one of its tube that was buried first */
byte asked[CLIENTS];      /* waiting: 1 = the one that asked first */

#if TUBES > 1
byte tube[JOBS];
byte watch[CLIENTS];      /* waiting: a bit for each tube that is named */
#define TUBE(j)       tube[j]
#define NAMES(c, t)   (asked[c] != 0 && ((watch[c] >> (t)) & 1))
#else
#define TUBE(j)       0
#define NAMES(c, t)   (asked[c] != 0)
#endif

#if PAUSE > 0
byte pause[TUBES];        /* seconds left */
#define OPEN(t)       (pause[t] == 0)
#else
#define OPEN(t)       true
#endif

#if DEADLINE >= 0
byte deadline[CLIENTS];   /* waiting: seconds left, or NEVER */
#endif

#ifdef BUSY
#define FREE(c)       true
#else
#define FREE(c)       (asked[c] == 0)
#endif

#if CLIENTS > 2
#define SOME_NAMES(t) (NAMES(0, t) || NAMES(1, t) || NAMES(2, t))
#define SOME_WAITS    (asked[0] != 0 || asked[1] != 0 || asked[2] != 0)
#define WAITING       ((asked[0] != 0) + (asked[1] != 0) + (asked[2] != 0))
#else
#define SOME_NAMES(t) (NAMES(0, t) || NAMES(1, t))
#define SOME_WAITS    (asked[0] != 0 || asked[1] != 0)
#define WAITING       ((asked[0] != 0) + (asked[1] != 0))
#endif

#if JOBS == 1
#define EACH_JOB(f)      f(0)
#define SOME_KICKABLE(t) (KICKABLE(0, t))
#define SOME_LIVE_IN(t)  (LIVES_IN(0, t))
#elif JOBS == 2
#define EACH_JOB(f)      f(0) f(1)
#define SOME_KICKABLE(t) (KICKABLE(0, t) || KICKABLE(1, t))
#define SOME_LIVE_IN(t)  (LIVES_IN(0, t) || LIVES_IN(1, t))
#elif JOBS == 3
#define EACH_JOB(f)      f(0) f(1) f(2)
#define SOME_KICKABLE(t) (KICKABLE(0, t) || KICKABLE(1, t) || KICKABLE(2, t))
#define SOME_LIVE_IN(t)  (LIVES_IN(0, t) || LIVES_IN(1, t) || LIVES_IN(2, t))
#elif JOBS == 4
#define EACH_JOB(f)      f(0) f(1) f(2) f(3)
#define SOME_KICKABLE(t) (KICKABLE(0, t) || KICKABLE(1, t) || KICKABLE(2, t) || KICKABLE(3, t))
#define SOME_LIVE_IN(t)  (LIVES_IN(0, t) || LIVES_IN(1, t) || LIVES_IN(2, t) || LIVES_IN(3, t))
#elif JOBS == 5
#define EACH_JOB(f)      f(0) f(1) f(2) f(3) f(4)
#define SOME_KICKABLE(t) (KICKABLE(0, t) || KICKABLE(1, t) || KICKABLE(2, t) || KICKABLE(3, t) || KICKABLE(4, t))
#define SOME_LIVE_IN(t)  (LIVES_IN(0, t) || LIVES_IN(1, t) || LIVES_IN(2, t) || LIVES_IN(3, t) || LIVES_IN(4, t))
#endif

/* A tube exists while it holds a job or a client waits on it; "default" always does. */
#define LIVES_IN(j, t) (state[j] != NEW && state[j] != GONE && TUBE(j) == t)
#define EXISTS(t)     (t == 0 || SOME_NAMES(t) || SOME_LIVE_IN(t))

/* Not of the state: none is read in a step before it is written there. */
hidden byte i, k, best, who, found;

/* ------------------------------------------------------------------ parts of a step */

inline to_ready(j) {
	state[j] = READY; left[j] = 0; owner[j] = 0
}

inline to_reserved(j, c) {
	state[j] = RESERVED; left[j] = TTR; owner[j] = c + 1
}

inline to_buried(j) {
	found = 0;
	for (k : 0 .. JOBS - 1) {
		if
		:: state[k] == BURIED && TUBE(k) == TUBE(j) -> found++
		:: else
		fi
	}
	state[j] = BURIED; left[j] = 0; owner[j] = 0; rank[j] = found + 1
}

inline leave_buried(j) {
	for (k : 0 .. JOBS - 1) {
		if
		:: rank[k] > rank[j] && TUBE(k) == TUBE(j) -> rank[k]--
		:: else
		fi
	}
	rank[j] = 0
}

inline to_gone(j) {
	state[j] = GONE; pri[j] = 0; left[j] = 0; owner[j] = 0;
#if TUBES > 1
	tube[j] = 0
#endif
}

inline end_wait(c) {
	for (k : 0 .. CLIENTS - 1) {
		if
		:: asked[k] > asked[c] -> asked[k]--
		:: else
		fi
	}
	asked[c] = 0;
#if TUBES > 1
	watch[c] = 0;
#endif
#if DEADLINE >= 0
	deadline[c] = 0
#endif
}

inline start_wait(c, names, seconds) {
	asked[c] = WAITING + 1;
#if TUBES > 1
	watch[c] = names;
#endif
#if DEADLINE >= 0
	deadline[c] = seconds
#endif
}

/* best: the ready job of a tube that is not paused and that some waiting client names, lowest (priority, id) first */
inline find_match() {
	best = NONE;
	if
	:: SOME_WAITS ->
		for (i : 0 .. JOBS - 1) {
			if
			:: state[i] == READY && OPEN(TUBE(i)) && SOME_NAMES(TUBE(i)) ->
				if
				:: best == NONE -> best = i
				:: else ->
					if
					:: pri[i] < pri[best] -> best = i
					:: else
					fi
				fi
			:: else
			fi
		}
	:: else
	fi
}

inline match() {
	find_match();
	do
	:: best == NONE -> break
	:: else ->
		who = NONE;
		for (i : 0 .. CLIENTS - 1) {
			if
			:: NAMES(i, TUBE(best)) ->
				if
				:: who == NONE -> who = i
				:: else ->
					if
					:: asked[i] < asked[who] -> who = i
					:: else
					fi
				fi
			:: else
			fi
		}
		to_reserved(best, who);
		end_wait(who);
		find_match()
	od
}

/* found: whether the client holds a job with at most a second left */
inline look_at_margin(c) {
	found = 0;
	for (k : 0 .. JOBS - 1) {
		if
		:: state[k] == RESERVED && owner[k] == c + 1 && left[k] <= 1 -> found = 1
		:: else
		fi
	}
}

/* What the tick after every operation does: serve, warn, time out; tubes that nothing needs vanish with their pause. */
inline settle() {
	match();
#ifdef SOON
	for (i : 0 .. CLIENTS - 1) {
		if
		:: asked[i] != 0 ->
			look_at_margin(i);
			if
			:: found -> end_wait(i)
			:: else
			fi
		:: else
		fi
	}
#endif
#if DEADLINE >= 0
	for (i : 0 .. CLIENTS - 1) {
		if
		:: asked[i] != 0 && deadline[i] == 0 -> end_wait(i)
		:: else
		fi
	}
#endif
	vanish()
}

inline vanish() {
#if PAUSE > 0 && TUBES > 1
	if
	:: !EXISTS(1) -> pause[1] = 0
	:: else
	fi
#endif
	skip
}

/* ------------------------------------------------------------------ what must hold after every step */

/* The number is in the text of the violated assertion, so that whoever reads SPIN's output knows the name. */
#define HOLDS(invariant, condition)     assert((condition) || invariant == 0)

#define EACH_JOB_IN_EXACTLY_ONE_PLACE   1 /* an invariant */
#define RESERVED_IFF_OWNED              2 /* an invariant */
#define NOTHING_IS_OVERDUE              3 /* an invariant */
#define BURIED_IN_ORDER                 4 /* an invariant */
#define WAITING_IN_ORDER                5 /* an invariant */
#define NO_LOST_WAKE_UP                 6 /* an invariant */
#define EVERY_WAIT_IS_ANSWERED_IN_TIME  7 /* an invariant */
#define NO_WAIT_IN_THE_MARGIN           8 /* an invariant */
#define A_PAUSE_NEEDS_ITS_TUBE          9 /* an invariant */

inline check() {
#ifdef CHECK
	for (i : 0 .. JOBS - 1) {
		HOLDS(EACH_JOB_IN_EXACTLY_ONE_PLACE, (state[i] == NEW) == (i >= born));
		HOLDS(EACH_JOB_IN_EXACTLY_ONE_PLACE, (rank[i] != 0) == (state[i] == BURIED));
		HOLDS(EACH_JOB_IN_EXACTLY_ONE_PLACE, (left[i] != 0) == (state[i] == DELAYED || state[i] == RESERVED));
		HOLDS(RESERVED_IFF_OWNED, (owner[i] != 0) == (state[i] == RESERVED) && owner[i] <= CLIENTS);
		HOLDS(NOTHING_IS_OVERDUE, left[i] <= TTR && (state[i] != DELAYED || left[i] <= DELAY));
		if
		:: rank[i] > 1 -> /* somebody is right before it */
			found = 0;
			for (k : 0 .. JOBS - 1) {
				if
				:: rank[k] == rank[i] - 1 && TUBE(k) == TUBE(i) -> found++
				:: else
				fi
			}
			HOLDS(BURIED_IN_ORDER, found == 1)
		:: else
		fi;
		HOLDS(NO_LOST_WAKE_UP, !(state[i] == READY && OPEN(TUBE(i)) && SOME_NAMES(TUBE(i))))
	}
	for (i : 0 .. CLIENTS - 1) {
		if
		:: asked[i] > 1 ->
			found = 0;
			for (k : 0 .. CLIENTS - 1) {
				if
				:: asked[k] == asked[i] - 1 -> found++
				:: else
				fi
			}
			HOLDS(WAITING_IN_ORDER, found == 1)
		:: else
		fi;
#if DEADLINE >= 0
		HOLDS(EVERY_WAIT_IS_ANSWERED_IN_TIME, (deadline[i] != 0) == (asked[i] != 0));
#endif
#ifdef SOON
		look_at_margin(i);
		HOLDS(NO_WAIT_IN_THE_MARGIN, !found || asked[i] == 0);
#endif
		skip
	}
#if PAUSE > 0 && TUBES > 1
	HOLDS(A_PAUSE_NEEDS_ITS_TUBE, EXISTS(1) || pause[1] == 0)
#endif
#endif
	skip
}

/* ------------------------------------------------------------------ the transitions as a number */

#ifdef SUM
/*
 * The sum, over all transitions, of before * after: two explorations with the same number of states and the same sum
 * have, to all intents and purposes, the same transitions. Both are states as numbers, read as digits to a large odd
 * base, modulo 2^32. Hidden variables are not of the state, so that backtracking leaves the sum alone.
 */
hidden int before, after, sum_of_transitions;

#define DIGIT(x, d)   x = x * 1000003 + (d)

inline encode(x) {
	x = born;
	for (k : 0 .. JOBS - 1) {
		DIGIT(x, state[k]); DIGIT(x, pri[k]); DIGIT(x, left[k]); DIGIT(x, owner[k]); DIGIT(x, rank[k])
#if TUBES > 1
		; DIGIT(x, tube[k])
#endif
	}
	for (k : 0 .. CLIENTS - 1) {
		DIGIT(x, asked[k])
#if TUBES > 1
		; DIGIT(x, watch[k])
#endif
#if DEADLINE >= 0
		; DIGIT(x, deadline[k])
#endif
	}
#if PAUSE > 0
	for (k : 0 .. TUBES - 1) {
		DIGIT(x, pause[k])
	}
#endif
}

#define BEFORE        encode(before);
#define AFTER         ; encode(after); sum_of_transitions = sum_of_transitions + (2 * before + 1) * (2 * after + 1)
#else
#define BEFORE
#define AFTER
#endif

/* ------------------------------------------------------------------ operations, an option each */

#define STEP(guard, effect)  :: d_step { guard -> BEFORE effect; settle(); check() AFTER }

#if TUBES > 1
#define SET_TUBE(t)   tube[born] = t;
#else
#define SET_TUBE(t)
#endif

#define PUT(p, t) \
	STEP(born < JOBS, state[born] = READY; pri[born] = p; SET_TUBE(t) born++) \
	STEP(born < JOBS, state[born] = DELAYED; pri[born] = p; left[born] = DELAY; SET_TUBE(t) born++)

/* A wait starts, and the settling serves it, warns it or times it out at once. */
#define ASK(c, names, seconds)  STEP(asked[c] == 0, start_wait(c, names, seconds))

#if DEADLINE > 1
#define ASK_ALL(c, names) ASK(c, names, NEVER) ASK(c, names, 0) ASK(c, names, 1) ASK(c, names, 2)
#elif DEADLINE == 1
#define ASK_ALL(c, names) ASK(c, names, NEVER) ASK(c, names, 0) ASK(c, names, 1)
#elif DEADLINE == 0
#define ASK_ALL(c, names) ASK(c, names, NEVER) ASK(c, names, 0)
#else
#define ASK_ALL(c, names) ASK(c, names, NEVER)
#endif

#define CANCEL(c)     STEP(asked[c] != 0, end_wait(c))

#define OWNED(j)      (state[j] == RESERVED && FREE(owner[j] - 1))

#define ON_OWN(j) \
	STEP(OWNED(j), left[j] = TTR) \
	STEP(OWNED(j), to_gone(j)) \
	NEW_PRIORITIES(j)

#define ON_OWN_WITH(j, p) \
	STEP(OWNED(j), pri[j] = p; to_ready(j)) \
	STEP(OWNED(j), pri[j] = p; state[j] = DELAYED; left[j] = DELAY; owner[j] = 0) \
	STEP(OWNED(j), pri[j] = p; to_buried(j))

#ifdef NEWPRI
#define NEW_PRIORITIES(j) ON_OWN_WITH(j, 0) ON_OWN_WITH(j, 1)
#else
#define NEW_PRIORITIES(j) ON_OWN_WITH(j, pri[j])
#endif

#define ON_ANY(j) \
	STEP(state[j] == READY || state[j] == DELAYED, to_gone(j)) \
	STEP(state[j] == BURIED, leave_buried(j); to_gone(j)) \
	STEP(state[j] == DELAYED, to_ready(j)) \
	STEP(state[j] == BURIED, leave_buried(j); to_ready(j))

#define RESERVE_BY_ID(j, c) \
	STEP(FREE(c) && (state[j] == READY || state[j] == DELAYED), to_reserved(j, c)) \
	STEP(FREE(c) && state[j] == BURIED, leave_buried(j); to_reserved(j, c))

/* The first of the buried ones becomes ready; if there are none, the soonest of the delayed ones. */
inline look_for_kick(t) {
	best = NONE; found = 0;
	for (k : 0 .. JOBS - 1) {
		if
		:: TUBE(k) == t && state[k] == BURIED && rank[k] == 1 -> best = k; found = 1
		:: TUBE(k) == t && state[k] == DELAYED && !found ->
			if
			:: best == NONE -> best = k
			:: else ->
				if
				:: left[k] < left[best] -> best = k
				:: else
				fi
			fi
		:: else
		fi
	}
}

#define KICKABLE(j, t) ((state[j] == BURIED || state[j] == DELAYED) && TUBE(j) == t)

inline kick_one(t) {
	look_for_kick(t);
	if
	:: found -> leave_buried(best)
	:: else
	fi;
	to_ready(best)
}

#define KICK_ONE(t)   STEP(SOME_KICKABLE(t), kick_one(t))

/* The wait ends first, then the jobs come back. */
inline close_client(c) {
	if
	:: asked[c] != 0 -> end_wait(c)
	:: else
	fi;
	for (i : 0 .. JOBS - 1) {
		if
		:: owner[i] == c + 1 -> to_ready(i)
		:: else
		fi
	}
}

#define CLOSE_CLIENT(c)  STEP(FREE(c), close_client(c))

#define PAUSE_TUBE(t, seconds)  STEP(EXISTS(t), pause[t] = seconds)

inline pass_a_second() {
	for (i : 0 .. JOBS - 1) {
		if
		:: left[i] == 1 -> to_ready(i)
		:: left[i] > 1 -> left[i]--
		:: else
		fi
	}
#if PAUSE > 0
	for (i : 0 .. TUBES - 1) {
		if
		:: pause[i] > 0 -> pause[i]--
		:: else
		fi
	}
#endif
#if DEADLINE >= 0
	for (i : 0 .. CLIENTS - 1) {
		if
		:: asked[i] != 0 && deadline[i] != NEVER -> deadline[i]--
		:: else
		fi
	}
#endif
}

/* ------------------------------------------------------------------ the bounds, spelt out */

#if CLIENTS == 2
#define EACH_CLIENT(f)   f(0) f(1)
#elif CLIENTS == 3
#define EACH_CLIENT(f)   f(0) f(1) f(2)
#endif

#if TUBES == 1
#define EACH_TUBE(f)     f(0)
#define ASK_NAMES(c)     ASK_ALL(c, 1)
#elif TUBES == 2
#define EACH_TUBE(f)     f(0) f(1)
#define ASK_NAMES(c)     ASK_ALL(c, 1) ASK_ALL(c, 2) ASK_ALL(c, 3)
#endif

#define PUT_IN(t)        PUT(0, t) PUT(1, t)

#if PAUSE == 1
#define PAUSE_FOR(t)     PAUSE_TUBE(t, 0) PAUSE_TUBE(t, 1)
#elif PAUSE == 2
#define PAUSE_FOR(t)     PAUSE_TUBE(t, 0) PAUSE_TUBE(t, 1) PAUSE_TUBE(t, 2)
#endif

#if CLIENTS == 3
#define BY_ID(j)         RESERVE_BY_ID(j, 0) RESERVE_BY_ID(j, 1) RESERVE_BY_ID(j, 2)
#else
#define BY_ID(j)         RESERVE_BY_ID(j, 0) RESERVE_BY_ID(j, 1)
#endif

active proctype world() {
	do
	EACH_TUBE(PUT_IN)
	EACH_CLIENT(ASK_NAMES)
	EACH_CLIENT(CANCEL)
	EACH_JOB(ON_OWN)
	EACH_JOB(ON_ANY)
	EACH_TUBE(KICK_ONE)
#ifdef BYID
	EACH_JOB(BY_ID)
#endif
#ifdef CLOSE
	EACH_CLIENT(CLOSE_CLIENT)
#endif
#if PAUSE > 0
	EACH_TUBE(PAUSE_FOR)
#endif
	STEP(true, pass_a_second())
	od
}
