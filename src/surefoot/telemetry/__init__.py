"""What a run shows of itself: spans, metrics, traces and logs, all of them folds of the journal."""
