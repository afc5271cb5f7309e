//! docs/templates.md against the views: it names every variable of every page, and no other.

use std::collections::{BTreeMap, BTreeSet};

use super::*;
use crate::templates::BUILT_IN;
use crate::url::SiteUrl;

const DOCS: &str = include_str!("../../../../docs/templates.md");

/// Pages that are parts of others, and how the variables that they show begin.
const PARTS: [(&str, &str); 2] = [("reading.", "reading.html"), ("own.", "choice.html")];

/// The variables by template, as the views have them. What a part shows stands there.
fn known() -> BTreeMap<String, BTreeSet<String>> {
    let mut known: BTreeMap<_, BTreeSet<_>> = BTreeMap::new();
    for (template, view) in views() {
        let mut paths = BTreeSet::new();
        leaves(&view, "", &mut paths);
        for path in paths {
            let part = PARTS.iter().find(|(start, _)| path.starts_with(start));
            let template = part.map_or(template, |(_, part)| part);
            known
                .entry(format!("web/{template}"))
                .or_default()
                .insert(path);
        }
    }
    let site = Site {
        host: "x".to_owned(),
        contact: None,
        url: SiteUrl::parse("http://x").expect("a URL"),
    };
    let shared = json!({ "site": site, "lang": Language::En });
    leaves(
        &shared,
        "",
        known.entry("web/base.html".to_owned()).or_default(),
    );
    known.values_mut().for_each(drop_parents);
    known
}

/// The paths of all values; a moment is one value, and `list[]` is what is in a list.
fn leaves(value: &Value, path: &str, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(fields) if !fields.contains_key("iso") => {
            for (name, value) in fields {
                let dot = if path.is_empty() { "" } else { "." };
                leaves(value, &format!("{path}{dot}{name}"), found);
            }
        }
        Value::Array(values) if values.iter().any(Value::is_object) => {
            values
                .iter()
                .for_each(|value| leaves(value, &format!("{path}[]"), found));
        }
        _ => {
            found.insert(path.to_owned());
        }
    }
}

/// A list that is empty in one view is known by what is in it.
fn drop_parents(paths: &mut BTreeSet<String>) {
    let all = paths.clone();
    paths.retain(|path| {
        let below = [format!("{path}."), format!("{path}[]")];
        !all.iter()
            .any(|other| below.iter().any(|start| other.starts_with(start)))
    });
}

/// The first column of the table below the heading of each template.
fn documented() -> BTreeMap<String, BTreeSet<String>> {
    let mut documented: BTreeMap<_, BTreeSet<_>> = BTreeMap::new();
    for section in DOCS.split("\n### `").skip(1) {
        let (heading, text) = section.split_once('\n').expect("a heading");
        let template = heading.trim_end_matches('`').to_owned();
        let rows = text.lines().take_while(|line| !line.starts_with("##"));
        let names = rows.filter_map(|line| Some(line.strip_prefix("| `")?.split_once('`')?.0));
        documented
            .entry(template)
            .or_default()
            .extend(names.map(str::to_owned));
    }
    documented.retain(|template, names| template.starts_with("web/") && !names.is_empty());
    documented
}

#[test]
fn every_variable_of_every_page_is_documented() {
    let (known, documented) = (known(), documented());
    for (template, paths) in &known {
        let there = documented.get(template).cloned().unwrap_or_default();
        let missing: Vec<_> = paths.difference(&there).collect();
        let more: Vec<_> = there.difference(paths).collect();
        assert!(
            missing.is_empty() && more.is_empty(),
            "docs/templates.md, {template}: lacks {missing:?}, has also {more:?}"
        );
    }
    let strange: Vec<_> = documented
        .keys()
        .filter(|t| !known.contains_key(*t))
        .collect();
    assert!(
        strange.is_empty(),
        "docs/templates.md: {strange:?} has no variables"
    );
}

#[test]
fn every_file_has_its_heading() {
    for (path, _) in BUILT_IN {
        let heading = format!("\n### `{path}`\n");
        assert!(DOCS.contains(&heading), "docs/templates.md lacks {path}");
    }
}
