"""The beanstalkd job state machine."""
