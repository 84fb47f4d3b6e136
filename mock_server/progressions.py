"""What can move a task along its plan."""

PROGRESSIONS = {
    "time": "as the clock runs",
    "polls": "each query of the task moves it one step; so does a clock that is advanced",
    "manual": "only by hand, through the control API",
}
