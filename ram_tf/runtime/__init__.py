"""The process and the machine: devices, workers, signals. Imports nothing here."""
