"""What the project writes about itself, and the commands that write it."""
