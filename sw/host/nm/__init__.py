"""Driving an N:M array: port, driver, golden device, report."""
