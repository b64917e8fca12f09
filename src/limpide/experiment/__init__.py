"""Many runs as one experiment: variants of a recipe under the same seeds, each score kept, and what they show."""
