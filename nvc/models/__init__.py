"""Networks: tensors in, tensors out; no bytes and no files."""
