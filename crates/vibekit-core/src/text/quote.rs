use std::borrow::Cow;

/// Whether a word means itself in every POSIX shell: not empty and only of `A-Z a-z 0-9 . _ / @ : + = , -`.
#[must_use]
pub fn is_plain(word: &str) -> bool {
    !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._/@:+=,-".contains(&byte))
}

/// One word for `sh -c`, byte-exact whatever it holds (NUL excepted, which no command line can carry). Plain words stay
/// as they are; others are put in single quotes, in which nothing is special but the single quote itself.
///
/// The word keeps its meaning as *one argument*; where a program takes arguments that begin with `-` as options, the
/// caller puts `--` before it. A plain word with `=` in it must not be the first word of a command.
#[must_use]
pub fn quote(word: &str) -> Cow<'_, str> {
    if is_plain(word) {
        return Cow::Borrowed(word);
    }
    let mut quoted = String::with_capacity(word.len() + 2);
    quoted.push('\'');
    for (index, part) in word.split('\'').enumerate() {
        if index > 0 {
            quoted.push_str(r"'\''");
        }
        quoted.push_str(part);
    }
    quoted.push('\'');
    Cow::Owned(quoted)
}

/// One shell word in double quotes, whatever it holds: for texts that upstream puts in such, so that the line is the same
/// where nothing in it means something to a shell.
#[must_use]
pub fn double_quote(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for character in text.chars() {
        if matches!(character, '`' | '"' | '$' | '\\') {
            quoted.push('\\');
        }
        quoted.push(character);
    }
    quoted.push('"');
    quoted
}
