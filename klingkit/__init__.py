"""klingkit: a simulator of Kling's Multi-Image to Image API, as CometAPI serves it, with a client.

- `klingkit.client`: the client, for the simulator and the real service alike.
- `klingkit.contract`: `openapi.yaml`, compiled: rules, errors, lifecycle.
- `klingkit.mock_server`: the simulator.
"""
