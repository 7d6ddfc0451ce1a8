"""LoRA adapters: files, store, loading, and the proof that one is in force."""
