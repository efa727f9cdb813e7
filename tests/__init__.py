"""Tests of the plugin itself; the gates judge the application."""
