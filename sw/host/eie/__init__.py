"""Driving an EIE array: port, words, driver, golden device, report."""
