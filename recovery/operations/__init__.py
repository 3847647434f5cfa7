"""What an operator asks for, one verb a file."""
