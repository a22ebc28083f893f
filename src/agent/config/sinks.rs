//! `[sinks.NAME]` of `agent.toml`: where the record goes beside its folder on this host.
//!
//! A table has `kind`, the keys of [`Options`] that every kind has, and the kind's own.

use std::{collections::BTreeMap, path::Path};

use serde::{Deserialize, de::IntoDeserializer as _};

use crate::{
    audit::sinks::{
        Only, Opening, Options, S3Config, Sink, SinkConfigError, eventbridge::EventBridgeConfig,
        git::GitConfig, syslog::SyslogConfig, webhook::WebhookConfig,
    },
    trust::text::check_name,
};

/// The sink that is always there, under `[audit] file`.
const FILE: &str = "file";

/// What each kind is configured by.
#[derive(Debug, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
enum Kind {
    Eventbridge(EventBridgeConfig),
    S3(S3Config),
    Syslog(SyslogConfig),
    Webhook(WebhookConfig),
    Git(GitConfig),
}

impl Kind {
    /// What it cannot do of what every kind is asked, by its key, and why.
    fn refuses(&self, options: &Options) -> Option<(&'static str, &'static str)> {
        match self {
            Self::S3(_) | Self::Git(_) => {
                (options.only != Only::All).then_some(("only", "this kind keeps the whole record"))
            }
            Self::Eventbridge(_) if options.required => {
                Some(("required", "a bus hands events on and holds none"))
            }
            Self::Eventbridge(_) | Self::Syslog(_) | Self::Webhook(_) => options
                .envelopes
                .then_some(("envelopes", "this kind has no room for them")),
        }
    }

    fn open(self, at: &Opening<'_>) -> Result<Box<dyn Sink>, SinkConfigError> {
        match self {
            Self::Eventbridge(kind) => kind.open(at),
            Self::S3(kind) => kind.open(at),
            Self::Syslog(kind) => kind.open(at),
            Self::Webhook(kind) => kind.open(at),
            Self::Git(kind) => kind.open(at),
        }
    }
}

/// A sink that is configured and not open yet.
#[derive(Debug)]
pub(in crate::agent) struct SinkTable {
    name: String,
    options: Options,
    kind: Kind,
}

impl SinkTable {
    /// The tables, by name.
    pub(super) fn all(tables: BTreeMap<String, toml::Table>) -> Result<Vec<Self>, String> {
        let one = |(name, table)| Self::parse(name, table);
        tables.into_iter().map(one).collect()
    }

    fn parse(name: String, mut table: toml::Table) -> Result<Self, String> {
        check_name("name of a sink", &name).map_err(|why| format!("sinks: {why}"))?;
        if name == FILE {
            return Err(format!(
                "sinks.{name}: the sink of this name is always there, and has its folder from [audit] file"
            ));
        }
        let bad = |why: String| format!("sinks.{name}: {why}");
        if !table.get("kind").is_some_and(toml::Value::is_str) {
            return Err(bad("it has no 'kind'".to_owned()));
        }
        let mut options = toml::Table::new();
        for key in Options::KEYS {
            options.extend(table.remove_entry(key));
        }
        let options: Options = parsed(options).map_err(bad)?;
        options
            .check()
            .map_err(|why| format!("sinks.{name}.{why}"))?;
        let kind: Kind = parsed(table).map_err(|why| format!("sinks.{name}: {why}"))?;
        if let Some((key, why)) = kind.refuses(&options) {
            return Err(format!("sinks.{name}.{key}: {why}, leave it out"));
        }
        Ok(Self {
            name,
            options,
            kind,
        })
    }

    /// Opens it; a setting with which it cannot work is said with its key.
    pub(in crate::agent) fn open(
        self,
        folder: &Path,
        state: &Path,
        host: &str,
    ) -> Result<Asked, Unusable> {
        let at = Opening {
            name: &self.name,
            folder,
            state,
            host,
        };
        match self.kind.open(&at) {
            Ok(sink) => Ok((sink, self.options)),
            Err(why) => Err(Unusable {
                what: format!("sinks.{}.{why}", self.name),
                hint: why.hint().map(str::to_owned),
            }),
        }
    }
}

/// A sink, and what is asked of it.
pub(in crate::agent) type Asked = (Box<dyn Sink>, Options);

/// A setting with which a sink cannot work.
pub(in crate::agent) struct Unusable {
    /// Which, by its key, and why.
    pub(in crate::agent) what: String,
    /// What to do.
    pub(in crate::agent) hint: Option<String>,
}

/// A table as a type; the parser's message in one line.
fn parsed<T: serde::de::DeserializeOwned>(table: toml::Table) -> Result<T, String> {
    T::deserialize(table.into_deserializer()).map_err(|why: toml::de::Error| {
        let text = why.message().trim().to_owned();
        text.lines().next().unwrap_or_default().to_owned()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::{
        event::EventType,
        sinks::{Begins, Only},
    };

    fn tables(text: &str) -> Result<Vec<SinkTable>, String> {
        #[derive(Deserialize)]
        struct File {
            sinks: BTreeMap<String, toml::Table>,
        }
        SinkTable::all(toml::from_str::<File>(text).expect("toml").sinks)
    }

    #[test]
    fn a_table_has_its_kind_what_all_have_and_its_own() {
        let sinks = tables(
            "[sinks.siem]\nkind = 'syslog'\nunix = '/dev/log'\nfacility = 'local3'\n\
             required = true\ngroup = 'offsite'\n\
             [sinks.repo]\nkind = 'git'\nenvelopes = true\n\
             [sinks.pager]\nkind = 'syslog'\nunix = 'x'\nonly = 'alerts'\n\
             [sinks.quiet]\nkind = 'syslog'\nunix = 'x'\nonly = ['AUDIT_TAMPERED']\nfrom = 'now'",
        );
        let sinks = sinks.expect("good");
        let names: Vec<_> = sinks.iter().map(|s| s.name.as_str()).collect();
        assert_eq!(names, ["pager", "quiet", "repo", "siem"]);
        let [pager, quiet, repo, siem] = &sinks[..] else {
            panic!("four")
        };
        assert!(siem.options.required && !siem.options.envelopes);
        assert!(repo.options.envelopes && !repo.options.required);
        assert_eq!(siem.options.group.as_deref(), Some("offsite"));
        assert_eq!(siem.options.only, Only::All);
        assert_eq!(siem.options.begins_at(), Begins::First);
        assert_eq!(pager.options.only, Only::Alerts);
        assert_eq!(pager.options.begins_at(), Begins::Now);
        let types = Only::Types(vec![EventType::AuditTampered]);
        assert_eq!(quiet.options.only, types);
        assert!(!quiet.options.required && !quiet.options.envelopes);
    }

    #[test]
    fn the_shipped_file_shows_sinks_as_they_are_read() {
        let shipped = include_str!("../../../packaging/agent.toml");
        let from = shipped.find("# [sinks.").expect("sinks");
        let to = shipped.find("# [watch]").expect("what follows them");
        // Of the comments those that are settings; the others say something about them.
        let setting = |line: &&str| {
            let key = line.split(" = ").next().unwrap_or_default();
            line.starts_with('[') || (key != *line && !key.contains(' '))
        };
        let shown = shipped[from..to]
            .lines()
            .filter_map(|l| l.strip_prefix("# "));
        let text = shown.filter(setting).collect::<Vec<_>>().join("\n");
        let sinks = tables(&text).expect("good");
        let names: Vec<_> = sinks.iter().map(|s| s.name.as_str()).collect();
        assert_eq!(names, ["bus", "evidence", "oncall", "siem", "worm"]);
        let kind = |s: &SinkTable| std::mem::discriminant(&s.kind);
        let kinds: std::collections::HashSet<_> = sinks.iter().map(kind).collect();
        assert_eq!(kinds.len(), 5, "one of each kind is shown");
        assert_eq!(sinks[3].options.group.as_deref(), Some("offsite"));
    }

    #[test]
    fn the_page_on_sinks_shows_tables_as_they_are_read() {
        let page = include_str!("../../../packaging/sinks/README.md");
        let blocks = page.split("```toml\n").skip(1);
        let text: String = blocks
            .filter_map(|block| block.split("```").next())
            .collect();
        let sinks = tables(&text).expect("good");
        let names: Vec<_> = sinks.iter().map(|s| s.name.as_str()).collect();
        let all = ["bus", "evidence", "oncall", "siem", "slack", "worm"];
        assert_eq!(names, all);
    }

    #[test]
    fn what_is_wrong_is_named_with_its_sink_and_key() {
        let base = "[sinks.siem]\nkind = 'syslog'\nunix = '/dev/log'\n";
        for (text, words) in [
            ("[sinks.siem]\nunix = 'x'", "sinks.siem: it has no 'kind'"),
            (
                "[sinks.siem]\nkind = 'smoke'",
                "sinks.siem: unknown variant",
            ),
            ("[sinks.file]\nkind = 'syslog'", "sinks.file"),
            (
                "[sinks.worm]\nkind = 's3'\nbucket = 'abc'\nregion = 'eu-west-1'\ncredential = 'x'\nonly = 'alerts'",
                "sinks.worm.only: this kind keeps the whole record",
            ),
            (
                "[sinks.bus]\nkind = 'eventbridge'\nbus = 'a'\nregion = 'eu-west-1'\ncredential = 'x'\nenvelopes = true",
                "sinks.bus.envelopes: this kind has no room",
            ),
            (
                "[sinks.oncall]\nkind = 'webhook'\nurl = 'https://a.example'\nenvelopes = true",
                "sinks.oncall.envelopes: this kind has no room",
            ),
            (
                "[sinks.evidence]\nkind = 'git'\nonly = 'alerts'",
                "sinks.evidence.only: this kind keeps the whole record",
            ),
            (
                "[sinks.bus]\nkind = 'eventbridge'\nbus = 'x'\nregion = 'eu-west-1'\ncredential = 'x'\nrequired = true",
                "sinks.bus.required: a bus hands events on and holds none",
            ),
            ("[sinks.'A B']\nkind = 'syslog'", "sinks: "),
            (&format!("{base}colour = 1"), "colour"),
            (&format!("{base}facility = 'x'"), "unknown variant `x`"),
            (
                &format!("{base}envelopes = true"),
                "sinks.siem.envelopes: this kind has no room",
            ),
            (&format!("{base}required = 'x'"), "sinks.siem: "),
            (&format!("{base}only = 'x'"), "alerts"),
            (&format!("{base}only = []"), "the list is empty"),
            (&format!("{base}only = ['x']"), "no event type"),
            (&format!("{base}from = 'x'"), "unknown variant `x`"),
            (&format!("{base}group = 'x'"), "sinks.siem.group"),
            (
                &format!("{base}required = true\nonly = ['AUDIT_TAMPERED']"),
                "sinks.siem.only",
            ),
        ] {
            let why = tables(text).expect_err(text);
            assert!(why.contains(words), "{text:?}: {why}");
        }
    }
}
