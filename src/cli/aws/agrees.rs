//! Whether what stands is what is needed: JSON as AWS gives it back, which is not byte for byte what it was given.

use serde_json::Value;

/// Whether two documents say the same. AWS gives one string for a list of one, lists in another order, numbers and booleans as text; a part of
/// a needed text whose value is not known here (`${Name}`) takes anything.
pub(super) fn agrees(needed: &Value, stands: &Value) -> bool {
    same(needed, stands, false)
}

/// The same where AWS may say more than was asked for: fields of its own, defaults.
pub(super) fn covers(needed: &Value, stands: &Value) -> bool {
    same(needed, stands, true)
}

fn same(needed: &Value, stands: &Value, more: bool) -> bool {
    match (needed, stands) {
        (Value::Object(needed), Value::Object(stands)) => {
            (more || needed.len() == stands.len())
                && needed.iter().all(|(key, needed)| {
                    stands
                        .get(key)
                        .is_some_and(|stands| same(needed, stands, more))
                })
        }
        (Value::Array(needed), Value::Array(stands)) => same_members(needed, stands, more),
        (Value::Array(list), stands) => list.len() == 1 && same(&list[0], stands, more),
        (needed, Value::Array(list)) => list.len() == 1 && same(needed, &list[0], more),
        (Value::Object(_), _) | (_, Value::Object(_)) => false,
        (needed, stands) => fits(&text(needed), &text(stands)),
    }
}

fn same_members(needed: &[Value], stands: &[Value], more: bool) -> bool {
    let mut left: Vec<&Value> = stands.iter().collect();
    needed.len() == stands.len()
        && needed.iter().all(|needed| {
            let found = left.iter().position(|stands| same(needed, stands, more));
            found.map(|at| left.swap_remove(at)).is_some()
        })
}

fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// Whether a text is the needed one, whose unknown parts may be anything.
fn fits(needed: &str, stands: &str) -> bool {
    let Some((before, rest)) = needed.split_once("${") else {
        return needed == stands;
    };
    let Some((_, after)) = rest.split_once('}') else {
        return needed == stands;
    };
    stands.strip_prefix(before).is_some_and(|left| {
        let ends = (0..=left.len()).filter(|at| left.is_char_boundary(*at));
        ends.into_iter().any(|at| fits(after, &left[at..]))
    })
}

/// In what a policy differs, by its statements' names: `KeyOnly is missing; Mint is another; also Extra`.
pub(super) fn told(needed: &Value, stands: &Value) -> String {
    let (needed, stands) = (statements(needed), statements(stands));
    let name = |statement: &Value| {
        statement["Sid"]
            .as_str()
            .unwrap_or("a statement without a name")
            .to_owned()
    };
    let of = |list: &[&Value], sid: &str| list.iter().any(|statement| name(statement) == sid);
    let standing = |needed: &Value| stands.iter().any(|stands| agrees(needed, stands));
    let mut said: Vec<String> = needed
        .iter()
        .filter(|needed| !standing(needed))
        .map(|needed| {
            let sid = name(needed);
            let fate = if of(&stands, &sid) {
                "is another"
            } else {
                "is missing"
            };
            format!("{sid} {fate}")
        })
        .collect();
    let more = stands
        .iter()
        .map(|stands| name(stands))
        .filter(|sid| !of(&needed, sid));
    said.extend(more.map(|sid| format!("also {sid}")));
    if said.is_empty() {
        "its statements are there, and something else differs".to_owned()
    } else {
        said.join("; ")
    }
}

fn statements(policy: &Value) -> Vec<&Value> {
    match &policy["Statement"] {
        Value::Array(list) => list.iter().collect(),
        Value::Null => Vec::new(),
        one => vec![one],
    }
}
