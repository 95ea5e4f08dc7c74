"""Runs the Autobahn test suite against servers and judges its reports."""
