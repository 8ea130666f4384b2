//! The relay's sources call and import only what is below them.

use std::collections::HashMap;
use std::fs;
use std::path::Path;
use std::string::String;
use std::vec::Vec;

/// From the top down. What is in `data` knows of no [`Relay`](crate::relay::Relay) at all.
const LAYERS: [&str; 13] = [
    "mod", "upstream", "kernel", "run", "learn", "ahead", "ask", "effects", "holds", "modes", "facts", "state", "data",
];

/// The sources, each with its layer.
fn sources() -> Vec<(usize, String)> {
    let relay = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/relay");
    let text = |path: &Path| fs::read_to_string(path).unwrap();
    let mut sources = Vec::new();
    for (layer, name) in LAYERS.iter().enumerate() {
        let file = relay.join(name).with_extension("rs");
        if file.exists() {
            sources.push((layer, text(&file)));
        } else {
            let files = fs::read_dir(relay.join(name)).unwrap().map(|entry| text(&entry.unwrap().path()));
            sources.extend(files.map(|text| (layer, text)));
        }
    }
    sources
}

fn word(text: &str) -> &str {
    text.split(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap()
}

/// What follows each `mark`.
fn after<'t>(text: &'t str, mark: &'t str) -> impl Iterator<Item = &'t str> {
    text.match_indices(mark).map(|(at, _)| &text[at + mark.len()..])
}

#[test]
fn no_file_calls_or_imports_what_is_above_it() {
    let sources = sources();
    let mut methods = HashMap::new();
    for (layer, text) in &sources {
        let body = text.split_once("impl Relay<'_> {").map_or("", |(_, body)| body);
        methods.extend(after(body, " fn ").map(|rest| (word(rest), *layer)));
    }
    let (mut calls, mut imports) = (0, 0);
    for (layer, text) in &sources {
        let called = ["self.", "this."].into_iter().flat_map(|receiver| after(text, receiver)).filter_map(|rest| {
            let name = word(rest);
            rest[name.len()..].starts_with('(').then_some(name)
        });
        for name in called {
            let Some(callee) = methods.get(name).filter(|_| LAYERS[*layer] != "data") else { continue };
            assert!(callee >= layer, "{} calls {name} of {}", LAYERS[*layer], LAYERS[*callee]);
            calls += usize::from(callee > layer);
        }
        for rest in ["super::", "crate::relay::"].into_iter().flat_map(|root| after(text, root)) {
            let Some(imported) = LAYERS.iter().position(|name| *name == word(rest)) else { continue };
            assert!(imported >= *layer, "{} imports {rest:.40}", LAYERS[*layer]);
            imports += usize::from(imported > *layer);
        }
    }
    assert!(calls > 200 && imports > 100, "{calls} calls and {imports} imports were looked at");
}
