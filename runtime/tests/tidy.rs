//! Rules about the code itself, checked like any other property.
//!
//! They hold for the whole workspace; they live here because the façade stands above every part.

#![expect(clippy::disallowed_methods, reason = "these tests read the source tree")]

use std::{
    fs,
    path::{Path, PathBuf},
};

/// A crate of ours with the crates of ours it may depend on.
struct Layer {
    folder: &'static str,
    package: &'static str,
    may_import: &'static [&'static str],
}

/// Every crate, bottom layer first: the table of the style guide.
const LAYERS: &[Layer] = &[
    Layer { folder: "runtime/platform", package: "floodmark-platform", may_import: &[] },
    Layer { folder: "runtime/prefetch", package: "floodmark-prefetch", may_import: &[] },
    Layer { folder: "runtime/model", package: "floodmark-model", may_import: &[] },
    Layer { folder: "runtime/wire", package: "floodmark-wire", may_import: &["floodmark-model"] },
    Layer {
        folder: "runtime/state",
        package: "floodmark-state",
        may_import: &[
            "floodmark-platform",
            "floodmark-prefetch",
            "floodmark-model",
            "floodmark-wire",
        ],
    },
    Layer {
        folder: "runtime/dataflow",
        package: "floodmark-dataflow",
        may_import: &["floodmark-platform", "floodmark-model", "floodmark-wire", "floodmark-state"],
    },
    Layer {
        folder: "runtime/coordinator",
        package: "floodmark-coordinator",
        may_import: &["floodmark-platform", "floodmark-model", "floodmark-wire"],
    },
    Layer {
        folder: "runtime/worker",
        package: "floodmark-worker",
        may_import: &[
            "floodmark-platform",
            "floodmark-model",
            "floodmark-wire",
            "floodmark-state",
            "floodmark-dataflow",
        ],
    },
    Layer {
        folder: "runtime/host",
        package: "floodmark-host",
        may_import: &["floodmark-platform"],
    },
    Layer { folder: "sim", package: "floodmark-sim", may_import: &["floodmark-platform"] },
    Layer { folder: "runtime", package: "floodmark", may_import: RUNTIME },
    Layer {
        folder: "scenarios",
        package: "floodmark-scenarios",
        may_import: &["floodmark-sim", "floodmark"],
    },
    Layer { folder: "proptests", package: "floodmark-proptests", may_import: EVERYTHING },
    Layer { folder: "benches", package: "floodmark-benches", may_import: EVERYTHING },
];

/// The crates behind the façade.
const RUNTIME: &[&str] = &[
    "floodmark-platform",
    "floodmark-model",
    "floodmark-wire",
    "floodmark-state",
    "floodmark-dataflow",
    "floodmark-coordinator",
    "floodmark-worker",
    "floodmark-host",
];

/// Every crate but those that measure the others.
const EVERYTHING: &[&str] = &[
    "floodmark-platform",
    "floodmark-model",
    "floodmark-wire",
    "floodmark-state",
    "floodmark-dataflow",
    "floodmark-coordinator",
    "floodmark-worker",
    "floodmark-host",
    "floodmark-sim",
    "floodmark",
    "floodmark-scenarios",
];

/// Past this many lines a file mostly holds two topics.
const LINE_COUNT_MAX: usize = 800;

/// Files that are longer all the same, each with the reason why it is one topic.
const LONG_FILES: &[(&str, &str)] = &[];

#[test]
fn every_crate_has_a_layer() {
    let workspace = read(&root().join("Cargo.toml"));
    let (_, members) = workspace.split_once("members = [").unwrap();
    let (members, _) = members.split_once(']').unwrap();
    let mut members: Vec<&str> = members.split('"').skip(1).step_by(2).collect();
    let mut folders: Vec<&str> = LAYERS.iter().map(|layer| layer.folder).collect();
    members.sort_unstable();
    folders.sort_unstable();
    assert_eq!(members, folders, "a crate is a layer; see STYLE.md, section 1");

    for Layer { folder, package, .. } in LAYERS {
        let name = format!("name = \"{package}\"");
        let manifest = read(&root().join(folder).join("Cargo.toml"));
        assert!(manifest.contains(&name), "{folder} is the folder of {package}");
    }
}

#[test]
fn dependencies_point_down() {
    for Layer { folder, may_import, .. } in LAYERS {
        let manifest = read(&root().join(folder).join("Cargo.toml"));
        for name in our_dependencies(&manifest) {
            let points_down = may_import.contains(&name);
            assert!(points_down, "{folder} may not depend on {name}; see STYLE.md, section 1");
        }
    }
}

#[test]
fn dependencies_are_found_however_they_are_written() {
    const MANIFEST: &str = r#"
        [package]
        name = "floodmark-a"
        [dependencies]
        floodmark-b.workspace = true
        floodmark = { workspace = true }
        serde.workspace = true
        other = { package = "floodmark-c", path = "../c" }
        [dev-dependencies.floodmark-d]
        workspace = true
        [target.'cfg(unix)'.build-dependencies]
        floodmark-e = "1" # not floodmark-f
        [features]
        floodmark-g = []
    "#;
    let found = our_dependencies(MANIFEST);
    let names = ["b", "", "c", "d", "e"].map(|name| match name {
        "" => "floodmark".to_owned(),
        name => format!("floodmark-{name}"),
    });
    assert_eq!(found, names);
}

#[test]
fn every_file_is_finished_and_says_what_it_is_for() {
    for file in rust_files(&root()) {
        let text = read(&file);
        let name = file.display();
        assert!(text.starts_with("//! "), "{name}: begin with `//! What lives here.`");
        assert!(!text.contains(concat!("TO", "DO")), "{name}: open an issue instead");
    }
}

#[test]
fn a_module_has_the_name_of_its_file() {
    for file in rust_files(&root()) {
        assert!(!file.ends_with("mod.rs"), "{}: name it after its module", file.display());
    }
}

#[test]
fn a_file_has_one_topic() {
    for file in rust_files(&root()) {
        let name = relative(&file);
        let is_long = LINE_COUNT_MAX < read(&file).lines().count();
        let is_listed = LONG_FILES.iter().any(|(listed, _)| *listed == name);
        assert!(is_listed || !is_long, "{name}: over {LINE_COUNT_MAX} lines; see LONG_FILES");
        assert!(is_long || !is_listed, "{name}: short enough to leave LONG_FILES");
    }
    for (listed, reason) in LONG_FILES {
        assert!(root().join(listed).exists(), "{listed} exists");
        assert!(!reason.is_empty(), "{listed} has a reason");
    }
}

#[test]
fn what_the_compiler_cannot_check_is_in_one_crate() {
    // Without this word the compiler refuses it: see the lints of the workspace.
    let allows = |file: &PathBuf| read(file).contains(concat!("unsafe", "_code"));
    let files = rust_files(&root()).into_iter().filter(allows).map(|file| relative(&file));
    assert_eq!(files.collect::<Vec<_>>(), ["runtime/prefetch/src/lib.rs"]);
}

/// Clippy says so too, but not in `host`, whose lints are its own.
#[test]
fn no_order_is_random() {
    for file in rust_files(&root()) {
        let name = relative(&file);
        let text = read(&file);
        let is_test = name.ends_with("/tests.rs") || name.contains("/tests/");
        // The simulator's tests show that even a random order follows from the seed.
        let is_exempt = name.starts_with("runtime/host/") || name.starts_with("sim/");
        if is_exempt && is_test {
            continue;
        }
        let is_host = name.starts_with("runtime/host/");
        let (code, _) = text.split_once("#[cfg(test)]").filter(|_| is_host).unwrap_or((&text, ""));
        assert!(!names_random_order(code), "{name}: use a `BTreeMap` or `BTreeSet`");
    }
}

#[test]
fn random_order_is_found_however_it_is_written() {
    let map = concat!("Hash", "Map");
    assert!(names_random_order(&format!("use std::collections::{map};")));
    assert!(names_random_order(&format!(
        "use std::{{\n    collections::{{BTreeMap, {map}}},\n}};"
    )));
    assert!(names_random_order(&format!("let map: std::collections::{map}<u8, u8> = x;")));
    assert!(!names_random_order(&format!("use hashbrown::{map};")));
    assert!(!names_random_order(&format!("// Faster than std::collections::{map}.\nuse a::B;")));
}

#[test]
fn whatever_a_job_can_name_has_an_example_that_runs() {
    let facade = read(&root().join("runtime/src/lib.rs"));
    let exports = exports(&facade);
    for known in ["Stream", "KeyedProcess", "ValueRef", "CheckpointId", "platform"] {
        assert!(exports.iter().any(|(_, name)| *name == known), "{known} is exported");
    }
    for (path, name) in exports {
        let (package, rest) = path.split_once("::").unwrap_or((&path, ""));
        let is_module = package.starts_with("floodmark_") && !rest.contains(char::is_uppercase);
        let has_example = if is_module {
            let file = if rest.is_empty() { "lib.rs" } else { &format!("{rest}.rs") };
            has_example_in_header(&read(&source(package).join(file)))
        } else {
            let files = rust_files(&source(package));
            files.iter().any(|file| has_example_for(&read(file), name))
        };
        assert!(has_example, "{name}: its documentation has no example; see STYLE.md, section 5");
    }
}

#[test]
fn what_is_exported_is_found_however_it_is_written() {
    const FACADE: &str = "mod a;\npub use a::A;\npub use floodmark_b::{\n    B, c::{D, E},\n};\n\
                          pub use floodmark_f as f;\npub use floodmark_g::h as i;\n";
    let found = exports(FACADE);
    let expected = [
        ("a::A", "A"),
        ("floodmark_b::B", "B"),
        ("floodmark_b::D", "D"),
        ("floodmark_b::E", "E"),
        ("floodmark_f", "f"),
        ("floodmark_g::h", "i"),
    ];
    assert_eq!(found, expected.map(|(path, name)| (path.to_owned(), name)));
}

#[test]
fn an_example_is_a_block_that_runs() {
    let with = |docs: &str| {
        format!("struct Other;\n\n{docs}\n#[derive(Debug)]\npub struct Name<T> {{\n}}")
    };
    assert!(has_example_for(&with("/// A name.\n///\n/// ```\n/// let x = 1;\n/// ```"), "Name"));
    assert!(has_example_for(&with("/// ```no_run\n/// let x = 1;\n/// ```"), "Name"));
    assert!(!has_example_for(&with("/// ```text\n/// a picture\n/// ```"), "Name"));
    assert!(!has_example_for(&with("/// ```compile_fail\n/// let x = ;\n/// ```"), "Name"));
    assert!(!has_example_for(&with("/// A name."), "Name"));
    assert!(!has_example_for(&with("/// ```\n/// ```\n"), "Name"), "that of somebody else");
    assert!(!has_example_for(&with("/// ```\n/// ```"), "Nam"));
    assert!(has_example_for("made! {\n    /// ```\n    /// ```\n    Name<T, U>\n}", "Name"));
    assert!(has_example_for("made! {\n    /// ```\n    /// ```\n    Name<T> of T\n}", "Name"));
    assert!(has_example_in_header("//! Here.\n//!\n//! ```\n//! let x = 1;\n//! ```\n"));
    assert!(!has_example_in_header("//! Here.\n\n/// ```\n/// ```\npub struct A;"));
}

/// Returns the paths and the names of what a façade exports.
fn exports(facade: &str) -> Vec<(String, &str)> {
    let mut exports = Vec::new();
    for statement in facade.split("pub use ").skip(1) {
        let statement = statement.split(';').next().unwrap_or_default();
        let package = statement.split("::").next().unwrap_or_default();
        if let Some((path, name)) = statement.split_once(" as ") {
            exports.push((path.to_owned(), name));
            continue;
        }
        let parts = statement.split([',', '{', '}']).map(str::trim);
        let names = parts.filter_map(|part| part.rsplit("::").next());
        let names = names.filter(|name| !name.is_empty());
        exports.extend(names.map(|name| (format!("{package}::{name}"), name)));
    }
    exports
}

/// Returns where the code of a part of a path lies: a crate of ours, or a module of the façade.
fn source(package: &str) -> PathBuf {
    match package.strip_prefix("floodmark_") {
        Some(folder) => root().join("runtime").join(folder).join("src"),
        None => root().join("runtime/src"),
    }
}

/// Returns whether `text` declares `name` with an example in its documentation.
fn has_example_for(text: &str, name: &str) -> bool {
    let lines: Vec<&str> = text.lines().collect();
    let declarations = (0..lines.len()).filter(|index| declares(lines[*index], name));
    declarations.into_iter().any(|index| {
        let before = lines[..index].iter().rev().take_while(|line| !line.trim().is_empty());
        let mut documentation: Vec<&str> =
            before.filter_map(|line| line.trim().strip_prefix("///")).collect();
        documentation.reverse();
        has_example(&documentation)
    })
}

fn has_example_in_header(text: &str) -> bool {
    let header: Vec<&str> = text.lines().map_while(|line| line.strip_prefix("//!")).collect();
    has_example(&header)
}

/// Returns whether a line declares `name`, by itself or through a macro.
fn declares(line: &str, name: &str) -> bool {
    const KINDS: [&str; 6] = ["struct ", "enum ", "trait ", "fn ", "async fn ", "type "];
    let is_whole =
        |rest: &str| !rest.starts_with(|next: char| next.is_alphanumeric() || next == '_');
    let declared = line.strip_prefix("pub ").and_then(|rest| {
        KINDS
            .iter()
            .find_map(|kind| rest.strip_prefix(kind))
            .and_then(|rest| rest.strip_prefix(name))
    });
    let made = line.strip_prefix("    ").and_then(|rest| rest.strip_prefix(name));
    declared.is_some_and(is_whole) || made.is_some_and(|rest| rest.starts_with([',', '<']))
}

/// Returns whether there is a block in the documentation that is compiled and is to succeed.
fn has_example(documentation: &[&str]) -> bool {
    let fences = documentation.iter().filter_map(|line| line.trim().strip_prefix("```"));
    fences.step_by(2).any(|kind| matches!(kind, "" | "no_run" | "rust"))
}

/// Returns the crates of ours that a manifest depends on, in any of its sections.
fn our_dependencies(manifest: &str) -> Vec<&str> {
    let mut found = Vec::new();
    let mut is_dependencies = false;
    for line in manifest.lines() {
        let line = line.split('#').next().unwrap_or_default().trim();
        if line.starts_with('[') {
            is_dependencies = line.contains("dependencies");
        }
        if is_dependencies {
            found.extend(line.split(['.', ' ', '=', '"', '[', ']']).find(|word| is_ours(word)));
        }
    }
    found
}

fn is_ours(package: &str) -> bool {
    package == "floodmark" || package.starts_with("floodmark-")
}

/// Returns whether a statement of `code` names a collection of the standard library whose order
/// differs from run to run.
fn names_random_order(code: &str) -> bool {
    let is_code = |line: &&str| !line.trim_start().starts_with("//");
    let code: String = code.lines().filter(is_code).flat_map(|line| [line, "\n"]).collect();
    code.split(';').any(|statement| {
        let has = |word| statement.contains(word);
        let is_random = has(concat!("Hash", "Map")) || has(concat!("Hash", "Set"));
        is_random && has("std::") && has("collections::")
    })
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Returns the path of a file as seen from the root of the workspace.
fn relative(file: &Path) -> String {
    let path = file.strip_prefix(root()).expect("every file lies in the workspace");
    path.display().to_string().replace('\\', "/")
}

fn read(file: &Path) -> String {
    fs::read_to_string(file).unwrap_or_else(|error| panic!("{}: {error}", file.display()))
}

/// Returns the Rust files in `folder` and below, except what was built or is hidden.
fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).expect("the workspace is readable") {
        let entry = entry.expect("the workspace is readable");
        let path = entry.path();
        let name = entry.file_name().to_string_lossy().into_owned();
        if path.is_dir() {
            if !name.starts_with("target") && !name.starts_with('.') {
                files.extend(rust_files(&path));
            }
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files
}
