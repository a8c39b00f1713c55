"""Notes what every role asks for and whether it may, and adds to MiniStack 1.5.33's IAM what the stack's policies speak of.

It lacks the keys that a request to DynamoDB names (dynamodb:LeadingKeys) and who an event is from (events:source), takes
a batch of messages for an action of its own, and is reached over http, which the stack's buckets and queues refuse.
"""
import json
import os
import threading

from ministack.core import iam_actions, iam_evaluator
from ministack.core.responses import get_account_id
from ministack.services import dynamodb
from ministack.services.cloudformation import provisioners

_notes = open(os.environ["SHOP_RIGHTS"], "a", buffering=1)
_lock = threading.Lock()
_BODY = "the request"
_enforce, _tags = iam_evaluator.enforce, iam_actions.request_tag_context


def tags_and_body(service, action, body, params):
    """The one place that sees the body of every request: enforce asks for what it says."""
    context = _tags(service, action, body, params)
    if service in ("dynamodb", "events"):
        try:
            context = {**context, _BODY: json.loads(body or b"{}")}
        except ValueError:
            pass
    return context


def leading_keys(request, resource):
    """The partition keys that the request names in that table; None where it names none."""
    name = resource.rpartition(":table/")[2].partition("/")[0]
    table = dynamodb._tables.get(name)
    if table is None:
        return None
    key = next(k["AttributeName"] for k in table["KeySchema"] if k["KeyType"] == "HASH")
    parts = [part for item in request.get("TransactItems", []) for part in item.values()] or [request]
    values = [next(iter((part.get("Item") or part.get("Key"))[key].values()))
              for part in parts if part.get("TableName", "").rpartition("/")[2] == name and (part.get("Item") or part.get("Key"))]
    return values or None


def enforce(access_key, action, service, region, resource_arn="*", service_context=None):
    context = dict(service_context or {})
    request = context.pop(_BODY, None)
    if request is not None and service == "dynamodb":
        keys = leading_keys(request, resource_arn)
        if keys:
            context["dynamodb:LeadingKeys"] = [k.replace("\n", " ") for k in keys]  # its * stops at a line's end
    if request is not None and service == "events":
        sources = sorted({e.get("Source", "") for e in request.get("Entries", [])})
        context["events:source"] = sources[0] if len(sources) == 1 else sources
    if action.startswith("sqs:") and action.endswith("Batch"):
        action = action.removesuffix("Batch")
    denied = _enforce(access_key, action, service, region, resource_arn=resource_arn, service_context=context)
    who = iam_evaluator.resolve_credential(access_key or "", get_account_id())
    if getattr(who, "principal_type", "") == "AssumedRole":
        role = iam_evaluator._role_name_from_assumed_arn(who.principal_arn)
        with _lock:
            _notes.write(json.dumps({"role": role, "action": action, "resource": resource_arn, "denied": denied is not None}) + "\n")
    return denied


iam_evaluator.enforce = enforce
iam_actions.request_tag_context = tags_and_body

# Buses have no policies there; what the stack's says is held by the tests of cdk/.
provisioners._RESOURCE_HANDLERS["AWS::Events::EventBusPolicy"] = {
    "create": lambda logical_id, props, stack: (f"{stack}-{logical_id}", {}),
    "update": lambda physical_id, *_: (physical_id, {}),
    "delete": lambda *_: None,
}
