//! The house rules that a machine can check, over the whole workspace: file length, module docs, who may import whom,
//! where a clock may be read and where `unsafe` may stand. ARCHITECTURE.md gives the reasons.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::fs;
use std::path::{Path, PathBuf};

/// Longest file. When one grows beyond, a noun is missing.
const LINES_MAX: usize = 400;

/// Packages of ours that each package may depend on at run time. Data flows from left to right; nothing on the left
/// knows anything on the right.
const MAY_DEPEND_ON: [(&str, &[&str]); 6] = [
    ("codec", &[]),
    ("gateway/engine", &["pulsegate-codec"]),
    ("gateway/stream", &["pulsegate-codec"]),
    ("loadgen", &["pulsegate-codec"]),
    // The load generator's library is for the demo, and its reader of the Kafka port for `events`.
    ("gateway", &["pulsegate-codec", "pulsegate-engine", "pulsegate-stream", "pulsegate-loadgen"]),
    (
        "benches",
        &["pulsegate", "pulsegate-codec", "pulsegate-engine", "pulsegate-stream", "pulsegate-loadgen"],
    ),
];

/// Words that a file below a folder must not contain, with the reason.
const FORBIDDEN: [(&str, &[&str], &str); 4] = [
    (
        "gateway/engine/src",
        &[
            "std::net",
            "std::thread",
            "std::fs",
            "std::io",
            "Instant",
            "SystemTime",
            "Mutex",
            "Atomic",
            "unsafe",
        ],
        "the engine is pure: bytes and time come in as arguments",
    ),
    (
        "gateway/src/io",
        &["pulsegate_engine::Engine", "pulsegate_stream", "crate::shard", "crate::worker", "crate::gateway"],
        "the kernel edge knows no node and no verdict",
    ),
    (
        "codec/src",
        &["std::net", "std::thread", "std::fs", "Instant", "SystemTime"],
        "the codec is bytes in, values out",
    ),
    (
        "gateway/src/shard.rs",
        &["std::net", "std::thread", "Clock", "Mutex"],
        "a shard decides; its worker does I/O",
    ),
];

/// Files that may read a clock: one a program, and the baseline that shows what a receiver usually looks like.
const CLOCK_READERS: [&str; 3] =
    ["gateway/src/io/clock.rs", "loadgen/src/clock.rs", "benches/src/contenders/tokio_plain.rs"];

/// Folders and files that may contain `unsafe`.
const UNSAFE_ALLOWED: [&str; 5] =
    ["gateway/src/io/", "gateway/tests/", "loadgen/src/sender", "benches/", "codec/tests/"];

struct Source {
    /// Relative to the workspace, with `/`.
    name: String,
    text: String,
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the package lies in the workspace").to_path_buf()
}

fn sources() -> Vec<Source> {
    let (root, mut sources) = (root(), Vec::new());
    let mut folders = vec![root.clone()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            let file_name = path.file_name().unwrap().to_string_lossy().into_owned();
            if path.is_dir() {
                if file_name != "target" && !file_name.starts_with('.') {
                    folders.push(path);
                }
            } else if file_name.ends_with(".rs") {
                let name = path.strip_prefix(&root).unwrap().to_string_lossy().replace('\\', "/");
                sources.push(Source { name, text: fs::read_to_string(&path).unwrap() });
            }
        }
    }
    assert!(sources.len() > 50, "the workspace was not found below {}", root.display());
    sources
}

/// Goal: nothing in `complaints`, and if there is, all of it at once.
fn check(complaints: &[String]) {
    assert!(complaints.is_empty(), "\n{}\n", complaints.join("\n"));
}

/// Lines of code, without comments, so that a rule may be named where it is explained.
fn code(source: &Source) -> impl Iterator<Item = (usize, &str)> {
    let lines = source.text.lines().enumerate().map(|(index, line)| (index + 1, line));
    lines.filter(|(_, line)| !line.trim_start().starts_with("//"))
}

#[test]
fn files_open_with_their_idea_and_stay_short() {
    let mut complaints = Vec::new();
    for source in sources() {
        let lines = source.text.lines().count();
        if lines > LINES_MAX {
            complaints
                .push(format!("{}: {lines} lines, at most {LINES_MAX}: which noun is missing?", source.name));
        }
        if !source.text.starts_with("//!") && !source.text.starts_with("#!") {
            complaints.push(format!(
                "{}: must open with `//!`: the idea, how it works, what it does not do",
                source.name
            ));
        }
    }
    check(&complaints);
}

#[test]
fn nothing_is_left_open() {
    let mut complaints = Vec::new();
    // Put together here so that this file does not accuse itself.
    let marks =
        [["TO", "DO"].concat(), ["FIX", "ME"].concat(), ["todo", "!("].concat(), ["#[ign", "ore"].concat()];
    for source in sources() {
        for (number, line) in source.text.lines().enumerate() {
            for mark in &marks {
                if line.contains(mark.as_str()) {
                    complaints.push(format!("{}:{}: {mark}", source.name, number + 1));
                }
            }
        }
    }
    check(&complaints);
}

#[test]
fn packages_depend_along_the_flow_of_data() {
    let mut complaints = Vec::new();
    for (package, allowed) in MAY_DEPEND_ON {
        let manifest = fs::read_to_string(root().join(package).join("Cargo.toml")).unwrap();
        let runtime = manifest.split("[dependencies]").nth(1).unwrap_or("");
        let runtime = runtime.split("\n[").next().unwrap_or("");
        for line in runtime.lines().filter(|line| line.starts_with("pulsegate")) {
            let dependency = line.split(['.', ' ', '=']).next().unwrap_or("");
            if !allowed.contains(&dependency) {
                complaints.push(format!("{package} must not depend on {dependency}"));
            }
        }
    }
    check(&complaints);
}

#[test]
fn folders_keep_to_their_own_business() {
    let mut complaints = Vec::new();
    for source in sources() {
        for (folder, words, reason) in FORBIDDEN {
            if !source.name.starts_with(folder) {
                continue;
            }
            for (number, line) in code(&source) {
                for word in words.iter().filter(|word| line.contains(**word)) {
                    complaints.push(format!("{}:{number}: `{word}`: {reason}", source.name));
                }
            }
        }
    }
    check(&complaints);
}

#[test]
fn one_file_a_program_reads_the_clock() {
    let calls = ["Instant::now", "SystemTime::now", "clock_gettime"];
    let mut complaints = Vec::new();
    for source in sources().iter().filter(|source| !CLOCK_READERS.contains(&source.name.as_str())) {
        if source.name == "gateway/tests/tidy.rs" {
            continue;
        }
        for (number, line) in code(source).filter(|(_, line)| calls.iter().any(|call| line.contains(call))) {
            complaints.push(format!("{}:{number}: reads a clock: {}", source.name, line.trim()));
        }
    }
    check(&complaints);
}

#[test]
fn unsafe_stands_only_at_the_kernel_edge_and_says_why() {
    let mut complaints = Vec::new();
    for source in sources() {
        let opens = |line: &str| {
            line.contains("unsafe {") || line.contains("unsafe impl") || line.contains("unsafe fn")
        };
        for (number, line) in code(&source).filter(|(_, line)| opens(line)) {
            if source.name == "gateway/tests/tidy.rs" {
                continue;
            }
            if !UNSAFE_ALLOWED.iter().any(|allowed| source.name.starts_with(allowed)) {
                complaints.push(format!(
                    "{}:{number}: unsafe does not belong here: {}",
                    source.name,
                    line.trim()
                ));
            }
        }
    }
    check(&complaints);
}

/// Goal: `docs/scenarios.md` is true: each test that it names exists, and says what it shows.
#[test]
fn scenarios_are_tests_that_say_what_they_show() {
    let page = fs::read_to_string(root().join("docs/scenarios.md")).unwrap();
    let sources = sources();
    let mut complaints = Vec::new();
    let rows = page.lines().filter(|line| line.starts_with("| ") && line.contains('`'));
    // Names of tests are whole words between backquotes; what else stands there has a sign or a space in it.
    let is_name =
        |word: &&str| word.contains('_') && word.chars().all(|sign| sign.is_alphanumeric() || sign == '_');
    let names: Vec<&str> = rows.flat_map(|row| row.split('`').skip(1).step_by(2)).filter(is_name).collect();
    assert!(names.len() > 50, "the table was not understood: {names:?}");
    for name in names {
        let opening = format!("fn {name}()");
        let found = sources.iter().find_map(|source| Some((source, source.text.find(&opening)?)));
        let Some((source, at)) = found else {
            complaints.push(format!("docs/scenarios.md: no test is called {name}"));
            continue;
        };
        let before = source.text[..at].rsplit("\n\n").next().unwrap_or("");
        let after = source.text[at..].lines().nth(1).unwrap_or("");
        if !before.contains("#[test]") || !(before.contains("//") || after.trim_start().starts_with("//")) {
            complaints.push(format!("{}: {name} is no test that says what it shows", source.name));
        }
    }
    check(&complaints);
}
