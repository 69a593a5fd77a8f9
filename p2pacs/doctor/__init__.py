"""What is wrong with a set-up: checks from outside, whether the program runs or not."""
