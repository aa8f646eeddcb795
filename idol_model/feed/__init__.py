"""What feeds a training: prepared data, opened, drawn from and made into batches."""
