"""What simulators stand on: doors to the network, and boxes that speak in lines."""
