"""Where a model lives.

- reached: connect, served, llamacpp, embedded, serverapi, modellist
- started: server, vllm, engineprocess, launch, guard
- adapted: adapter, adapterstore, loadedadapter; proven live: canary, reference, liveness
- looked over: doctor, machine
- the shipped model's weights: weights, dequantized
"""
