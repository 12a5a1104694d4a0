"""What is wrong with data: duplicates, leaks, doubtful labels, inputs that hold nothing."""
