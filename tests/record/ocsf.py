"""Says of each OCSF event on standard input whether it keeps to the framework: 'ok', or why not.

The framework is the schema server's own export of the version that the event names, as PyPI's ocsf-json-schema carries it (nothing of ours, and no
network). Checked are: that version and class exist; by jsonschema, with the profiles that the event names: required attributes, types, patterns, enumerations,
'at least one of', and no attribute that class, object or profile does not have; and what JSON Schema cannot say: profiles that the class
takes, `type_uid` as the class and the activity make it, and names that are those of the numbers beside them (`activity_name`, `severity`, ...).
"""
import json
import sys
from functools import cache

from jsonschema import Draft202012Validator
from ocsf_json_schema import OcsfJsonSchemaEmbedded, get_ocsf_schema
from ocsf_json_schema.loader import get_packaged_versions

OTHER = 99


@cache
def framework(version):
    return get_ocsf_schema(version=version)


@cache
def validator(version, name, profiles):
    schema = OcsfJsonSchemaEmbedded(framework(version)).get_class_schema(name, profiles=list(profiles))
    Draft202012Validator.check_schema(schema)
    return Draft202012Validator(schema)


def names(version, attributes, value, path):
    """Each number with a name beside it: the name is the framework's for it, or, for 'other', the event's own."""
    for key, attribute in attributes.items():
        here = f"{path}{key}"
        found = value.get(key)
        beside = attribute.get("sibling")
        if beside in value and found != OTHER:
            caption = attribute["enum"].get(str(found), {}).get("caption")
            if value[beside] != caption:
                yield f"{path}{beside}: {value[beside]!r} is not {caption!r}, the name of {found}"
        if attribute["type"] == "object_t" and isinstance(found, dict):
            inner = framework(version)["objects"][attribute["object_type"]]["attributes"]
            yield from names(version, inner, found, here + "/")


def problems(event):
    version = event.get("metadata", {}).get("version")
    if version not in get_packaged_versions():
        return [f"metadata/version: {version!r} is no version of the framework"]
    classes = {one["uid"]: name for name, one in framework(version)["classes"].items()}
    name = classes.get(event.get("class_uid"))
    if name is None:
        return [f"class_uid: {event.get('class_uid')!r} is no class of {version}"]
    described = framework(version)["classes"][name]
    profiles = tuple(event["metadata"].get("profiles", []))
    found = [f"metadata/profiles: {one!r} is none of {name}'s" for one in profiles if one not in described["profiles"]]
    for error in validator(version, name, profiles).iter_errors(event):
        found.append(f"{'/'.join(map(str, error.absolute_path))}: {error.message[:300]}")
    if event.get("type_uid") != described["uid"] * 100 + event.get("activity_id", 0):
        found.append("type_uid: it is not class_uid * 100 + activity_id")
    found.extend(names(version, described["attributes"], event, ""))
    return found


for line in sys.stdin:
    print(" | ".join(problems(json.loads(line))) or "ok")
