//! What looks like a secret. Meant for text on its way to a model: a false alarm costs a few lines of context, a miss
//! costs a key.

/// Beginnings of keys whose form their makers document, and how many characters follow at least.
const PREFIXES: [(&str, usize); 22] = [
    ("ghp_", 30),
    ("gho_", 30),
    ("ghu_", 30),
    ("ghs_", 30),
    ("ghr_", 30),
    ("github_pat_", 30),
    ("glpat-", 18),
    ("sk-", 20),
    ("sk_live_", 16),
    ("sk_test_", 16),
    ("rk_live_", 16),
    ("xai-", 20),
    ("gsk_", 20),
    ("AIza", 30),
    ("ya29.", 20),
    ("AKIA", 16),
    ("ASIA", 16),
    ("xoxb-", 16),
    ("xoxp-", 16),
    ("npm_", 30),
    ("e2b_", 20),
    ("eyJ", 40),
];

/// Names of things whose value is nobody's business.
const NAMES: [&str; 14] = [
    "password",
    "passwd",
    "secret",
    "token",
    "apikey",
    "api_key",
    "api-key",
    "access_key",
    "accesskey",
    "private_key",
    "privatekey",
    "client_secret",
    "credential",
    "authorization",
];

/// Whether a line holds something that looks like a secret.
#[must_use]
pub fn looks_secret(line: &str) -> bool {
    line.contains("PRIVATE KEY") && line.contains("-----")
        || words(line).any(key)
        || assigned(line)
        || in_address(line)
}

/// Whether a file of this path is one of secrets.
pub(super) fn secret_file(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or(path).to_ascii_lowercase();
    let example = ["example", "sample", "template", "dist"].iter().any(|word| name.contains(word));
    let env = name == ".env" || name.starts_with(".env.") || name.ends_with(".env");
    let named = matches!(
        name.as_str(),
        ".npmrc"
            | ".pypirc"
            | ".netrc"
            | ".git-credentials"
            | ".htpasswd"
            | "credentials"
            | "credentials.json"
            | "id_rsa"
            | "id_dsa"
            | "id_ecdsa"
            | "id_ed25519"
            | "service-account.json"
    );
    let kind = [".pem", ".key", ".p12", ".pfx", ".jks", ".keystore", ".kdbx", ".ppk", ".asc"]
        .iter()
        .any(|end| name.ends_with(end));
    (env || named || kind) && !example
}

fn part_of_key(character: char) -> bool {
    character.is_ascii_alphanumeric() || "-_./+=".contains(character)
}

fn words(line: &str) -> impl Iterator<Item = &str> {
    line.split(|character| !part_of_key(character)).flat_map(|word| {
        // `KEY=value` is one word by its characters.
        let value = word.split_once('=').map(|(_, value)| value);
        std::iter::once(word).chain(value)
    })
}

fn key(word: &str) -> bool {
    PREFIXES.iter().any(|(prefix, more)| word.strip_prefix(prefix).is_some_and(|rest| rest.len() >= *more))
}

/// `name = value`, `"name": "value"`, where the name says what it is and the value is one that nobody would type.
fn assigned(line: &str) -> bool {
    let lower = line.to_ascii_lowercase();
    NAMES.iter().any(|name| {
        lower.match_indices(name).any(|(at, _)| {
            // What may stand between the name and its value; the rest of a longer name too.
            let rest = &line[at + name.len()..];
            let rest = rest.trim_start_matches(|character: char| {
                character.is_ascii_alphanumeric() || "_-\"'`".contains(character)
            });
            let Some(value) = rest.trim_start().strip_prefix([':', '=']) else { return false };
            let value = value.trim_start_matches(|character: char| " \t=:\"'`(".contains(character));
            let value =
                value.strip_prefix("Bearer ").or_else(|| value.strip_prefix("Basic ")).unwrap_or(value);
            let value: String = value.chars().take_while(|&character| part_of_key(character)).collect();
            random(&value)
        })
    })
}

/// `scheme://user:password@host`.
fn in_address(line: &str) -> bool {
    line.split("://").skip(1).any(|rest| {
        let authority: &str = rest.split(['/', ' ', '"', '\'', '`', '<', '>']).next().unwrap_or_default();
        let Some((user, _)) = authority.rsplit_once('@') else { return false };
        user.split_once(':')
            .is_some_and(|(_, password)| password.len() >= 6 && !password.starts_with(['$', '{', '<']))
    })
}

/// Long, with digits and letters: nothing one would type, and no path or name in a program.
fn random(value: &str) -> bool {
    let digits = value.chars().filter(char::is_ascii_digit).count();
    let letters = value.chars().filter(char::is_ascii_alphabetic).count();
    value.len() >= 16 && digits >= 2 && letters >= 4 && !value.contains("..")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_and_passwords_are_noticed() {
        for line in [
            "+token: ghp_0123456789abcdefghijklmnopqrstuvwxyz",
            "OPENAI_API_KEY=sk-proj-0123456789abcdefghijklmnop",
            "aws_access_key_id = AKIAIOSFODNN7EXAMPLE",
            "-----BEGIN OPENSSH PRIVATE KEY-----",
            "  \"client_secret\": \"a9f3k2j4h5g6d7s8a9f3\",",
            "Authorization: Bearer abcdefgh12345678ijkl",
            "const url = 'postgres://app:hunter22@db.internal/app'",
            "jwt = eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.x",
        ] {
            assert!(looks_secret(line), "{line}");
        }
    }

    #[test]
    fn ordinary_code_is_not() {
        for line in [
            "const token = await getToken(request)",
            "if (password === '') throw new Error('empty')",
            "import { secret } from './config/secrets-of-the-application'",
            "see https://github.com/owner/repo/pull/12",
            "token: process.env.GITHUB_TOKEN,",
            "@@ -1,2 +1,2 @@ fn token_count(text: &str) -> usize {",
            "git clone ssh://git@example.com/a/b",
            "url = `https://user:${password}@host/`",
        ] {
            assert!(!looks_secret(line), "{line}");
        }
    }

    #[test]
    fn files_of_secrets_have_names() {
        for path in [".env", "a/.env.local", "deploy/server.pem", "home/id_rsa", "prod.env", ".npmrc"] {
            assert!(secret_file(path), "{path}");
        }
        for path in [".env.example", "src/env.rs", "key.rs", "environment.ts", "keys/readme.md"] {
            assert!(!secret_file(path), "{path}");
        }
    }
}
