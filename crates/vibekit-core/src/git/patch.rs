//! A diff as a model gets it: without what looks like a secret, and not longer than it can take.

use super::secrets::{looks_secret, secret_file};

/// Bytes of a patch that go to a model at most: about 30,000 tokens, which every default model takes.
pub const LIMIT: usize = 100_000;

/// Stands for hunks that were left out because of what is in them.
const SECRET: &str = "[left out: looks like a secret]\n";
/// The same, for lack of room.
const LONG: &str = "[left out: too long]\n";
/// Where whole files are missing.
const FILES: &str = "[further files left out: too long]\n";

/// One file of a diff.
struct File<'a> {
    /// Up to the first hunk.
    head: &'a str,
    hunks: Vec<&'a str>,
    path: &'a str,
}

/// Cuts a patch. One that is short and holds nothing suspicious comes back byte for byte.
///
/// * Hunks with lines that look like secrets, hunks of files that usually hold them, and lines with one of the `known`
///   secrets are replaced by a remark. The heads of the files stay: that the file changed is no secret.
/// * Of what is left each file gets an equal share of the room; what small files do not need, large ones get. Hunks are kept
///   or left out whole.
#[must_use]
pub fn digest(patch: &str, known: &[String], limit: usize) -> String {
    let known: Vec<&str> = known.iter().map(String::as_str).filter(|secret| secret.len() >= 6).collect();
    let suspicious =
        |text: &str| known.iter().any(|secret| text.contains(secret)) || text.lines().any(looks_secret);
    let files = split(patch);
    let mut clean: Vec<(String, Vec<String>)> = Vec::with_capacity(files.len());
    for file in &files {
        let head = if suspicious(file.head) { scrub(file.head, &known) } else { file.head.to_owned() };
        let all = secret_file(file.path);
        let hunks = file
            .hunks
            .iter()
            .map(|hunk| if all || suspicious(hunk) { SECRET.to_owned() } else { (*hunk).to_owned() });
        clean.push((head, hunks.collect()));
    }
    let size =
        |(head, hunks): &(String, Vec<String>)| head.len() + hunks.iter().map(String::len).sum::<usize>();
    if clean.iter().map(size).sum::<usize>() <= limit {
        return clean.into_iter().map(|(head, hunks)| head + &hunks.concat()).collect();
    }
    fit(&clean, limit)
}

/// Lines with a secret in them, gone.
fn scrub(text: &str, known: &[&str]) -> String {
    text.split_inclusive('\n')
        .map(|line| {
            if known.iter().any(|secret| line.contains(secret)) || looks_secret(line) { SECRET } else { line }
        })
        .collect()
}

/// Shares the room out, smallest files first, and then writes in the order of the patch.
fn fit(files: &[(String, Vec<String>)], limit: usize) -> String {
    let room = limit.saturating_sub(FILES.len());
    let whole: Vec<usize> =
        files.iter().map(|(head, hunks)| head.len() + hunks.iter().map(String::len).sum::<usize>()).collect();
    let mut order: Vec<usize> = (0..files.len()).collect();
    order.sort_by_key(|&index| whole[index]);
    let mut shares = vec![0; files.len()];
    let mut left = room;
    for (place, &index) in order.iter().enumerate() {
        let share = left / (files.len() - place);
        shares[index] = share.min(whole[index]);
        left -= shares[index];
    }
    let mut text = String::with_capacity(limit);
    let mut missing = false;
    for (index, (head, hunks)) in files.iter().enumerate() {
        let share = shares[index];
        if share == whole[index] {
            text.push_str(head);
            hunks.iter().for_each(|hunk| text.push_str(hunk));
            continue;
        }
        if head.len() + LONG.len() > share {
            missing = true;
            continue;
        }
        let mut room = share - head.len() - LONG.len();
        text.push_str(head);
        let mut cut = false;
        for hunk in hunks {
            if hunk.len() <= room {
                room -= hunk.len();
                text.push_str(hunk);
            } else {
                cut = true;
            }
        }
        if cut {
            text.push_str(LONG);
        }
    }
    if missing {
        text.push_str(FILES);
    }
    // Less room than the remark itself needs.
    if text.len() > limit { String::new() } else { text }
}

/// Files and hunks of a unified diff. What stands before the first file counts as a file of its own.
fn split(patch: &str) -> Vec<File<'_>> {
    let mut starts: Vec<usize> = vec![0];
    for (at, line) in lines(patch) {
        if at > 0 && line.starts_with("diff --git ") {
            starts.push(at);
        }
    }
    let ends = starts.iter().skip(1).copied().chain([patch.len()]);
    starts
        .iter()
        .zip(ends)
        .map(|(&start, end)| file(&patch[start..end]))
        .filter(|file| !file.head.is_empty() || !file.hunks.is_empty())
        .collect()
}

fn file(text: &str) -> File<'_> {
    let hunks: Vec<usize> = lines(text)
        .filter(|(_, line)| line.starts_with("@@ ") || line.starts_with("GIT binary patch"))
        .map(|(at, _)| at)
        .collect();
    let head = &text[..hunks.first().copied().unwrap_or(text.len())];
    let ends = hunks.iter().skip(1).copied().chain([text.len()]);
    let path = head
        .lines()
        .find_map(|line| line.strip_prefix("+++ b/").or_else(|| line.strip_prefix("--- a/")))
        .or_else(|| head.lines().next().and_then(|line| line.rsplit_once(" b/")).map(|(_, path)| path))
        .unwrap_or_default();
    let path = path.trim_end_matches(['"', '\t']);
    File { head, hunks: hunks.iter().zip(ends).map(|(&start, end)| &text[start..end]).collect(), path }
}

fn lines(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut at = 0;
    text.split_inclusive('\n').map(move |line| {
        let begin = at;
        at += line.len();
        (begin, line)
    })
}
