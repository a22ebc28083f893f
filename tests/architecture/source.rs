//! Reads Rust files as far as the walls need it: what is code, what ships, and which paths it names.

use std::{
    collections::BTreeSet,
    fs,
    ops::Range,
    path::{Path, PathBuf},
};

/// A file under `src`.
pub(crate) struct Source {
    /// Path from `src`, e.g. `cli/approve.rs`.
    pub(crate) file: String,
    /// The whole text.
    pub(crate) text: String,
    /// The same, byte for byte in its place, without comments, without what stands between quotes, and without what only tests see.
    pub(crate) shipped: String,
    /// Whether only tests see the file.
    pub(crate) test: bool,
    /// Every path that shipped code names, imports and aliases followed.
    pub(crate) named: Vec<Named>,
}

/// A path that is named somewhere.
#[derive(Debug)]
pub(crate) struct Named {
    /// Line, from 1.
    pub(crate) line: usize,
    /// Absolute: `crate` or the name of another crate first. A glob ends in `*`.
    pub(crate) path: Vec<String>,
}

impl Named {
    pub(crate) fn shown(&self) -> String {
        self.path.join("::")
    }

    /// Whether the path is `prefix` (e.g. `crate::audit::store`), lies in it, or takes all of a module around it.
    pub(crate) fn is_in(&self, prefix: &str) -> bool {
        let prefix: Vec<&str> = prefix.split("::").collect();
        let own: Vec<&str> = self.path.iter().map(String::as_str).collect();
        match own.split_last() {
            Some((&"*", around)) => prefix.starts_with(around) || around.starts_with(&prefix),
            _ => own.starts_with(&prefix),
        }
    }
}

impl Source {
    /// The module of the ground, middle or door: `cli` of `cli/approve.rs`.
    pub(crate) fn part(&self) -> &str {
        let first = self.file.split('/').next().unwrap_or_default();
        first.strip_suffix(".rs").unwrap_or(first)
    }
}

/// Every Rust file under the package's `src`.
pub(crate) fn tree() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    collect(&root, &mut files);
    let texts = files.into_iter().map(|path| {
        let text = fs::read_to_string(&path).expect("a text file");
        let file = path.strip_prefix(&root).expect("under src").to_owned();
        (file.to_str().expect("a plain name").to_owned(), text)
    });
    read(texts.collect())
}

/// All Rust files under a folder, in order.
pub(crate) fn collect(folder: &Path, into: &mut Vec<PathBuf>) {
    let entries = fs::read_dir(folder).expect("a folder");
    let mut paths: Vec<PathBuf> = entries.map(|e| e.expect("an entry").path()).collect();
    paths.sort();
    for path in paths {
        if path.is_dir() {
            collect(&path, into);
        } else if path.extension().is_some_and(|e| e == "rs") {
            into.push(path);
        }
    }
}

/// Reads files by their path from `src` and their text.
pub(crate) fn read(files: Vec<(String, String)>) -> Vec<Source> {
    let modules: BTreeSet<Vec<String>> = files.iter().map(|(file, _)| module(file)).collect();
    let mut tests = BTreeSet::new();
    let mut sources = Vec::new();
    for (file, text) in files {
        let mut shipped = code(&text);
        for name in drop_tests(&mut shipped) {
            tests.insert([module(&file), vec![name]].concat());
        }
        sources.push(Source {
            named: Vec::new(),
            test: false,
            file,
            text,
            shipped,
        });
    }
    for source in &mut sources {
        let own = module(&source.file);
        source.test = tests.iter().any(|test| own.starts_with(test));
        if source.test {
            source.shipped.clear();
        }
        source.named = paths(&source.shipped, &own, &modules);
    }
    sources
}

/// `["cli", "approve"]` of `cli/approve.rs`.
fn module(file: &str) -> Vec<String> {
    let path = file.strip_suffix(".rs").unwrap_or(file);
    let path = path.strip_suffix("/mod").unwrap_or(path);
    if path == "lib" {
        return Vec::new();
    }
    path.split('/').map(str::to_owned).collect()
}

/// Blanks comments and the insides of quotes; every byte keeps its place.
pub(crate) fn code(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = bytes.to_vec();
    let mut i = 0;
    while i < bytes.len() {
        let rest = &bytes[i..];
        let after_name = i > 0 && is_name(bytes[i - 1]);
        let end = match rest {
            [b'/', b'/', ..] => i + find(rest, b"\n").unwrap_or(rest.len()),
            [b'/', b'*', ..] => i + block_comment(rest),
            [b'"', ..] => {
                let end = i + quoted(rest);
                blank(&mut out, i + 1, end - 1);
                i = end;
                continue;
            }
            [b'r', b'"' | b'#', ..] | [b'b' | b'c', b'r', b'"' | b'#', ..] if !after_name => {
                match raw(rest) {
                    Some((inside, length)) => {
                        blank(&mut out, i + inside.start, i + inside.end);
                        i += length;
                        continue;
                    }
                    None => i,
                }
            }
            [b'\'', ..] => i + character(&text[i..]),
            _ => i,
        };
        if end == i {
            i += 1;
        } else {
            blank(&mut out, i, end);
            i = end;
        }
    }
    String::from_utf8(out).expect("whole characters are blanked")
}

fn is_name(byte: u8) -> bool {
    byte == b'_' || byte.is_ascii_alphanumeric() || byte >= 0x80
}

fn find(bytes: &[u8], what: &[u8]) -> Option<usize> {
    bytes.windows(what.len()).position(|w| w == what)
}

fn blank(out: &mut [u8], from: usize, to: usize) {
    for byte in &mut out[from..to] {
        if *byte != b'\n' {
            *byte = b' ';
        }
    }
}

fn block_comment(bytes: &[u8]) -> usize {
    let (mut depth, mut i) = (0, 0);
    while i < bytes.len() {
        match &bytes[i..] {
            [b'/', b'*', ..] => (depth, i) = (depth + 1, i + 2),
            [b'*', b'/', ..] => (depth, i) = (depth - 1, i + 2),
            _ => i += 1,
        }
        if depth == 0 {
            break;
        }
    }
    i
}

/// Length of a string with its quotes.
fn quoted(bytes: &[u8]) -> usize {
    let mut i = 1;
    while i < bytes.len() {
        match bytes[i] {
            b'\\' => i += 2,
            b'"' => return i + 1,
            _ => i += 1,
        }
    }
    bytes.len()
}

/// The inside of a raw string, and its length with quotes; `None` for a raw name such as `r#type`.
fn raw(bytes: &[u8]) -> Option<(Range<usize>, usize)> {
    let start = bytes.iter().position(|b| *b == b'r')? + 1;
    let hashes = bytes[start..].iter().take_while(|b| **b == b'#').count();
    let inside = start + hashes + 1;
    if bytes.get(inside - 1) != Some(&b'"') {
        return None;
    }
    let close = [b"\"", "#".repeat(hashes).as_bytes()].concat();
    let end = inside + find(&bytes[inside..], &close)?;
    Some((inside..end, end + close.len()))
}

/// Length of a character with its quotes; 0 for a lifetime.
fn character(text: &str) -> usize {
    let mut chars = text.char_indices().skip(1);
    match chars.next() {
        Some((_, '\\')) => {
            let closing = text[3..].find('\'');
            closing.map_or(0, |at| at + 4)
        }
        Some(_) => match chars.next() {
            Some((at, '\'')) => at + 1,
            _ => 0,
        },
        None => 0,
    }
}

/// Blanks items under `#[cfg(test)]`; answers the modules among them that are files of their own.
fn drop_tests(code: &mut String) -> Vec<String> {
    const MARK: &str = "#[cfg(test)]";
    let mut files = Vec::new();
    while let Some(at) = code.find(MARK) {
        let length = MARK.len() + item(&code[at + MARK.len()..]);
        let text = &code[at..at + length];
        if let Some(name) = text.strip_suffix(';')
            && let Some((_, name)) = name.rsplit_once("mod ")
        {
            files.push(name.trim().to_owned());
        }
        let mut bytes = std::mem::take(code).into_bytes();
        blank(&mut bytes, at, at + length);
        *code = String::from_utf8(bytes).expect("whole items are blanked");
    }
    files
}

/// Length of the item that begins here: to its `;`, or to the end of its braces.
fn item(code: &str) -> usize {
    let import = code.trim_start().starts_with("use ");
    let (mut round, mut braces) = (0, 0);
    for (at, c) in code.char_indices() {
        match c {
            '(' | '[' => round += 1,
            ')' | ']' => round -= 1,
            '{' => braces += 1,
            '}' => {
                braces -= 1;
                if braces == 0 && !import {
                    return at + 1;
                }
            }
            ';' if round == 0 && braces == 0 => return at + 1,
            _ => {}
        }
    }
    code.len()
}

#[derive(Clone, Copy, PartialEq)]
enum Token<'t> {
    Name(&'t str),
    Step,
    Mark(char),
}

fn tokens(code: &str) -> Vec<(Token<'_>, usize)> {
    let mut found = Vec::new();
    let mut line = 1;
    let mut rest = code;
    while let Some(c) = rest.chars().next() {
        let length = rest
            .find(|c: char| c != '_' && !c.is_alphanumeric())
            .unwrap_or(rest.len());
        let (token, length) = if length > 0 {
            (Token::Name(&rest[..length]), length)
        } else if rest.starts_with("::") {
            (Token::Step, 2)
        } else {
            (Token::Mark(c), c.len_utf8())
        };
        line += usize::from(c == '\n');
        if !c.is_whitespace() {
            found.push((token, line));
        }
        rest = &rest[length..];
    }
    found
}

/// Every path in the code of `module`, made absolute.
fn paths(code: &str, module: &[String], modules: &BTreeSet<Vec<String>>) -> Vec<Named> {
    let mut reader = Reader {
        tokens: tokens(code),
        at: 0,
        place: module.to_vec(),
        modules,
        names: Vec::new(),
        named: Vec::new(),
    };
    // Imports first: a name may be used above the line that brings it in.
    reader.walk(true);
    reader.walk(false);
    reader.named
}

struct Reader<'r> {
    tokens: Vec<(Token<'r>, usize)>,
    at: usize,
    /// The module that is being read, inline ones included.
    place: Vec<String>,
    modules: &'r BTreeSet<Vec<String>>,
    /// What imports have brought in: a name and what it stands for.
    names: Vec<(String, Vec<String>)>,
    named: Vec<Named>,
}

impl Reader<'_> {
    fn peek(&self, ahead: usize) -> Option<Token<'_>> {
        self.tokens.get(self.at + ahead).map(|t| t.0)
    }

    fn walk(&mut self, imports: bool) {
        self.at = 0;
        let mut inside = Vec::new();
        while let Some((token, line)) = self.tokens.get(self.at).copied() {
            match token {
                Token::Name("use") if self.peek(1) != Some(Token::Mark('<')) => {
                    self.at += 1;
                    self.import(&mut Vec::new(), imports);
                    continue;
                }
                Token::Name("mod") => {
                    if let (Some(Token::Name(name)), Some(Token::Mark('{'))) =
                        (self.peek(1), self.peek(2))
                    {
                        let name = name.to_owned();
                        self.place.push(name);
                        inside.push(true);
                        self.at += 3;
                        continue;
                    }
                }
                Token::Mark('{') => inside.push(false),
                Token::Mark('}') => {
                    let module = inside.pop() == Some(true);
                    self.place.truncate(self.place.len() - usize::from(module));
                }
                Token::Name(head) if self.peek(1) == Some(Token::Step) => {
                    let mut path = vec![head.to_owned()];
                    while let (Some(Token::Step), Some(Token::Name(next))) =
                        (self.peek(1), self.peek(2))
                    {
                        path.push(next.to_owned());
                        self.at += 2;
                    }
                    if !imports {
                        let path = self.absolute(path);
                        self.named.push(Named { line, path });
                    }
                }
                _ => {}
            }
            self.at += 1;
        }
    }

    /// Reads a tree of imports up to its `;`, `,` or `}`.
    fn import(&mut self, prefix: &mut Vec<String>, note: bool) {
        let depth = prefix.len();
        let mut alias = None;
        let line = self.tokens.get(self.at).map_or(0, |t| t.1);
        while let Some(token) = self.peek(0) {
            match token {
                Token::Name("as") => {
                    if let Some(Token::Name(name)) = self.peek(1) {
                        alias = Some(name.to_owned());
                    }
                    self.at += 2;
                }
                Token::Name(name) => {
                    let name = name.to_owned();
                    prefix.push(name);
                    self.at += 1;
                }
                Token::Mark('*') => {
                    prefix.push("*".to_owned());
                    self.at += 1;
                }
                Token::Step => self.at += 1,
                Token::Mark('{') => {
                    self.at += 1;
                    while let Some(token) = self.peek(0) {
                        match token {
                            Token::Mark('}') => break,
                            Token::Mark(',') => self.at += 1,
                            _ => self.import(prefix, note),
                        }
                    }
                    self.at += 1;
                    prefix.truncate(depth);
                    return;
                }
                _ => break,
            }
        }
        if prefix.len() > depth || alias.is_some() {
            let mut path = prefix.clone();
            if path.last().is_some_and(|name| name == "self") {
                path.pop();
            }
            let path = self.absolute(path);
            if note {
                if let Some(name) = alias.or_else(|| path.last().cloned()) {
                    self.names.push((name, path));
                }
            } else {
                self.named.push(Named { line, path });
            }
        }
        prefix.truncate(depth);
        if self.peek(0) == Some(Token::Mark(';')) {
            self.at += 1;
        }
    }

    fn absolute(&self, path: Vec<String>) -> Vec<String> {
        let own = |place: &[String], rest: &[String]| [&["crate".to_owned()], place, rest].concat();
        let head = path[0].as_str();
        let supers = path.iter().take_while(|name| *name == "super").count();
        if supers > 0 {
            let place = &self.place[..self.place.len().saturating_sub(supers)];
            return own(place, &path[supers..]);
        }
        if head == "self" {
            let (more, rest) = (
                path[1..].iter().take_while(|n| *n == "super").count(),
                &path[1..],
            );
            let place = &self.place[..self.place.len().saturating_sub(more)];
            return own(place, &rest[more..]);
        }
        if head == "crate" {
            return path;
        }
        let child = [&self.place[..], &[head.to_owned()]].concat();
        if self.modules.contains(&child) {
            return own(&self.place, &path);
        }
        match self.names.iter().find(|(name, _)| name == head) {
            Some((_, stands_for)) if stands_for.last() != Some(&"*".to_owned()) => {
                [stands_for, &path[1..]].concat()
            }
            _ => path,
        }
    }
}
