"""The capabilities that the adapter reports to an editor."""

from autolm.debugger.dap.editor_breakpoints import NON_FINITE

CAPABILITIES = {
    **dict.fromkeys(
        (
            "supportsConfigurationDoneRequest",
            "supportsFunctionBreakpoints",
            "supportsConditionalBreakpoints",
            "supportsHitConditionalBreakpoints",
            "supportsLogPoints",
            "supportsDataBreakpoints",
            "supportsExceptionFilterOptions",
            "supportsExceptionInfoRequest",
            "supportsStepBack",
            "supportsSteppingGranularity",
            "supportsGotoTargetsRequest",
            "supportsRestartFrame",
            "supportsRestartRequest",
            "supportsTerminateRequest",
            "supportTerminateDebuggee",
            "supportsDelayedStackTraceLoading",
            "supportsEvaluateForHovers",
            "supportsCompletionsRequest",
            "supportsSetVariable",
            "supportsSetExpression",
            "supportsClipboardContext",
        ),
        True,
    ),
    "exceptionBreakpointFilters": [
        {
            "filter": NON_FINITE,
            "label": "inf or nan",
            "description": "Stops before the operation that makes the first inf or nan.",
            "default": False,
            "supportsCondition": True,
        }
    ],
}
