//! As much XML as AWS's query protocol needs: the text of an element, and repeated `member` elements.

/// The text of the first element called `name`, entities resolved; `None` if there is none.
pub(crate) fn text(body: &str, name: &str) -> Option<String> {
    inner(body, name).map(|(text, _)| unescape(text))
}

/// The raw contents of every `<member>` within the first element called `list`, in order.
pub(crate) fn members<'a>(body: &'a str, list: &str) -> Vec<&'a str> {
    let Some((mut rest, _)) = inner(body, list) else {
        return Vec::new();
    };
    let mut found = Vec::new();
    while let Some((member, after)) = inner(rest, "member") {
        found.push(member);
        rest = after;
    }
    found
}

/// A policy document as IAM returns it, percent-encoded or plain, made plain.
pub(crate) fn document(text: &str) -> String {
    if !text.starts_with('%') {
        return text.to_owned();
    }
    // A plus sign stands for itself here, unlike in a form.
    let form = format!("d={}", text.replace('+', "%2B"));
    form_urlencoded::parse(form.as_bytes())
        .map(|(_, document)| document.into_owned())
        .collect()
}

/// Text made safe to stand in an element.
pub(crate) fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}

fn inner<'a>(body: &'a str, name: &str) -> Option<(&'a str, &'a str)> {
    let close = format!("</{name}>");
    let start = body.find(&format!("<{name}>"))? + name.len() + 2;
    let length = body[start..].find(&close)?;
    Some((
        &body[start..start + length],
        &body[start + length + close.len()..],
    ))
}

fn unescape(text: &str) -> String {
    text.replace("&lt;", "<")
        .replace("&gt;", ">")
        .replace("&quot;", "\"")
        .replace("&apos;", "'")
        .replace("&#x27;", "'")
        .replace("&amp;", "&")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents_are_made_plain() {
        assert_eq!(document("%7B%22a+b%22%3A1%7D"), "{\"a+b\":1}");
        assert_eq!(document("{\"a\":1}"), "{\"a\":1}");
    }

    #[test]
    fn elements_and_members_are_found() {
        let body =
            "<R><L><member><A>1 &amp; 2</A></member><member><A>3</A></member></L><B>x</B></R>";
        assert_eq!(text(body, "A").as_deref(), Some("1 & 2"));
        assert_eq!(members(body, "L"), ["<A>1 &amp; 2</A>", "<A>3</A>"]);
        assert_eq!(text(body, "C"), None);
        assert!(members(body, "M").is_empty());
    }
}
