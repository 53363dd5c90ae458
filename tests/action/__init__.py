"""Tests of the Action, one module for each of `action_src`."""
