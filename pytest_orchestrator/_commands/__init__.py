"""What ``python -m pytest_orchestrator`` can be told to do; one module for each subject.

Exit status of all of them: 0 fine, 1 findings, 2 could not be judged.
"""
