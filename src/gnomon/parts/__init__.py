"""What tasks are composed of: readers and encoders by kind of input, heads and judges by kind of target."""
