"""What published papers build from layer plans: cells, skeletons around them, random graphs."""
