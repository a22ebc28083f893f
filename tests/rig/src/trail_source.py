# Teaches the emulator what CloudTrail alone may do, and what it leaves out of EventBridge's rules.
# 1. Nobody but AWS may put events whose source begins with "aws."; the rig, which plays CloudTrail, says "cloudtrail:aws.s3".
#    AWS: https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_PutEventsRequestEntry.html
# 2. A rule in the state ENABLED_WITH_ALL_CLOUDTRAIL_MANAGEMENT_EVENTS is sent read-only management events too, one that is
#    merely ENABLED is not; the emulator sends the first nothing at all.
#    AWS: https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-service-event-cloudtrail.html
# 3. A rule's target may be an event bus in another Region, which the emulator does not deliver to.
#    AWS: https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-cross-region.html
import json
from ministack.core import responses
from ministack.services import eventbridge

_PLAYED = "cloudtrail:"
_ALL = "ENABLED_WITH_ALL_CLOUDTRAIL_MANAGEMENT_EVENTS"
_put_events, _dispatch = eventbridge._put_events, eventbridge._dispatch_event
_to_bus = eventbridge._dispatch_to_event_bus


def _put(data, allow_aws_source=False):
    entries = data.get("Entries", [])
    played = any(str(entry.get("Source", "")).startswith(_PLAYED) for entry in entries)
    if played:
        data = {**data, "Entries": [{**e, "Source": e["Source"].removeprefix(_PLAYED)} for e in entries]}
    return _put_events(data, allow_aws_source or played)


def _reads(event):
    try:
        detail = json.loads(event.get("Detail") or "{}")
    except ValueError:
        return False
    return detail.get("readOnly") is True and detail.get("managementEvent") is True


def _dispatched(event, view=None):
    reads, before = _reads(event), {key: rule.get("State") for key, rule in eventbridge._rules.items()}
    try:
        for key, rule in eventbridge._rules.items():
            if before[key] == _ALL:
                rule["State"] = "ENABLED"
            elif before[key] == "ENABLED" and reads:
                rule["State"] = "NOT_SENT"
        _dispatch(event, view)
    finally:
        for key, rule in eventbridge._rules.items():
            if key in before:
                rule["State"] = before[key]


def _to_any_bus(spec, *rest):
    with responses.request_scope(spec.account_id, spec.region):
        eventbridge._ensure_default_bus()
        _to_bus(spec, *rest)


eventbridge._put_events, eventbridge._dispatch_event = _put, _dispatched
eventbridge._dispatch_to_event_bus = _to_any_bus
