//! Holds posthouse.example.toml to the code: every key of every section stands in it.

use std::collections::BTreeSet;
use std::sync::{Arc, LazyLock};

use posthouse_hook::SystemClock;
use toml::de::DeTable;

use super::{Lists, Loaded, parse};

/// The example, with the settings that are commented out (`#key = …`, `#[table]`) put to work.
static EXAMPLE: LazyLock<String> = LazyLock::new(|| {
    let file = include_str!("../../../../posthouse.example.toml");
    let setting = |c: char| c == '[' || c.is_ascii_lowercase();
    let line = |line: &'static str| match line.strip_prefix('#') {
        Some(inside) if inside.starts_with(setting) => inside,
        _ => line,
    };
    file.lines().map(line).collect::<Vec<_>>().join("\n")
});
const MINIMAL: &str =
    "hostname = \"a.example\"\nstate = \"s\"\n[web]\nurl = \"http://a.example\"\n";
const UNKNOWN: &str = "no_such_key";

/// Every section with keys of its own: where an unknown key is put to learn the known ones.
const SECTIONS: [(&str, &str); 16] = [
    ("", "no_such_key = 1\n"),
    ("listener", "[[listener]]\nno_such_key = 1\n"),
    ("limits", "[limits]\nno_such_key = 1\n"),
    ("quarantine", "[quarantine]\nno_such_key = 1\n"),
    ("quarantine.caps", "[quarantine.caps]\nno_such_key = 1\n"),
    ("letters", "[letters]\nno_such_key = 1\n"),
    ("letters.caps", "[letters.caps]\nno_such_key = 1\n"),
    ("letters.dkim", "[letters.dkim]\nno_such_key = 1\n"),
    ("relay", "[relay]\nno_such_key = 1\n"),
    ("relay.timeout", "[relay.timeout]\nno_such_key = 1\n"),
    ("relay.route", "[[relay.route]]\nno_such_key = 1\n"),
    ("web", "no_such_key = 1\n"),
    ("web.limits", "[web.limits]\nno_such_key = 1\n"),
    ("dns", "[dns]\nno_such_key = 1\n"),
    ("store", "[store]\nno_such_key = 1\n"),
    ("log", "[log]\nno_such_key = 1\n"),
];

/// The keys that the code knows in one section: the error about an unknown key lists them.
fn known(section: &str, probe: &str) -> BTreeSet<String> {
    let text = match section {
        "" => format!("{probe}{MINIMAL}"),
        _ => format!("{MINIMAL}{probe}"),
    };
    let faults = parse(std::path::Path::new("probe.toml"), text).expect_err("an unknown key");
    let message = faults.to_string();
    let first = message.lines().next().unwrap_or_default();
    let mut words = first.split('`').skip(1).step_by(2);
    assert_eq!(words.next(), Some(UNKNOWN), "{section}: {message}");
    words.map(str::to_owned).collect()
}

/// The keys that the example has in one section; of several tables, all of them together.
fn written(section: &str) -> BTreeSet<String> {
    let table = DeTable::parse(&EXAMPLE).expect("the example is TOML");
    let mut found = vec![toml::de::DeValue::Table(table.into_inner())];
    for name in section.split('.').filter(|name| !name.is_empty()) {
        found = found
            .into_iter()
            .flat_map(|value| below(value, name))
            .collect();
    }
    let tables = found.into_iter().filter_map(|value| match value {
        toml::de::DeValue::Table(table) => Some(table),
        _ => None,
    });
    tables
        .flat_map(|table| {
            table
                .into_iter()
                .map(|(key, _)| key.into_inner().into_owned())
        })
        .collect()
}

fn below<'a>(value: toml::de::DeValue<'a>, name: &str) -> Vec<toml::de::DeValue<'a>> {
    let toml::de::DeValue::Table(mut table) = value else {
        return Vec::new();
    };
    match table.remove(name).map(toml::Spanned::into_inner) {
        Some(toml::de::DeValue::Array(array)) => {
            array.into_iter().map(toml::Spanned::into_inner).collect()
        }
        Some(value) => vec![value],
        None => Vec::new(),
    }
}

#[test]
fn every_key_stands_in_the_example() {
    for (section, probe) in SECTIONS {
        let known = known(section, probe);
        let written = written(section);
        let missing: Vec<_> = known.difference(&written).collect();
        assert!(!known.is_empty(), "{section} has keys");
        assert!(missing.is_empty(), "[{section}] lacks {missing:?}");
    }
}

/// Plugins' options: each plugin's page and its steps in the example name them all.
#[test]
fn every_option_of_every_plugin_stands_in_the_example() {
    let table = DeTable::parse(&EXAMPLE)
        .expect("the example is TOML")
        .into_inner();
    for plugin in posthouse_plugins::names() {
        let text = format!(
            "{MINIMAL}[[listener]]\naddress = [\"127.0.0.1:25\"]\nchain = \"x\"\n[[chain.x]]\nplugin = \"{plugin}\"\n{UNKNOWN} = 1\n"
        );
        let loaded = parse(std::path::Path::new("probe.toml"), text).expect("parses");
        let message = build_error(&loaded);
        let first = message.lines().next().unwrap_or_default().to_owned();
        let options: Vec<_> = first
            .split('`')
            .skip(3)
            .step_by(2)
            .map(str::to_owned)
            .collect();
        let written = steps_of(&table, plugin);
        assert!(!written.is_empty(), "{plugin} is in the example");
        for option in options {
            assert!(
                written.contains(&option),
                "{plugin}: `{option}` is not in the example"
            );
        }
    }
}

/// Why the chains of a configuration cannot be built.
fn build_error(loaded: &Loaded) -> String {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    let _entered = runtime.enter();
    let mut lists = Lists::new(loaded.base());
    let resolver = crate::dns::DnsResolver::new(&loaded.config.dns).expect("a resolver");
    let common = super::common(
        loaded,
        &mut lists,
        Arc::new(resolver),
        Arc::new(SystemClock),
        None,
    );
    let built = super::build(loaded, common.expect("lists"), &mut lists);
    built.err().expect("a fault").to_string()
}

fn steps_of(table: &DeTable<'_>, plugin: &str) -> BTreeSet<String> {
    let mut keys = BTreeSet::new();
    let chains = table.get("chain").and_then(|c| c.get_ref().as_table());
    for (_, steps) in chains.into_iter().flatten() {
        for step in steps.get_ref().as_array().into_iter().flatten() {
            let Some(step) = step.get_ref().as_table() else {
                continue;
            };
            let kind = step.get("plugin").and_then(|p| p.get_ref().as_str());
            if kind == Some(plugin) {
                keys.extend(step.keys().map(|key| key.get_ref().to_string()));
            }
        }
    }
    keys
}
