"""Which task, backbone, depths, head and engine suit the user's data, before any training."""
