//! Small archives: the engine takes and gives files as tar.

use std::io::Read;

use vibekit_sandbox::{Code, Error, Result};

/// Largest record that is read back.
const LARGEST: u64 = 1 << 20;

fn failed(error: std::io::Error) -> Error {
    Error::new(Code::Internal, format!("Making an archive: {error}"))
}

/// Directories (without a leading slash), owned by a user.
pub(crate) fn directories(paths: &[String], uid: u64, gid: u64) -> Result<Vec<u8>> {
    let mut archive = tar::Builder::new(Vec::new());
    for path in paths {
        let mut header = header(tar::EntryType::Directory, 0, 0o755);
        header.set_uid(uid);
        header.set_gid(gid);
        archive.append_data(&mut header, format!("{path}/"), std::io::empty()).map_err(failed)?;
    }
    archive.into_inner().map_err(failed)
}

/// One file that only root can read, in a directory only root can enter.
pub(crate) fn private(directory: &str, name: &str, content: &[u8]) -> Result<Vec<u8>> {
    let mut archive = tar::Builder::new(Vec::new());
    let mut place = header(tar::EntryType::Directory, 0, 0o700);
    archive.append_data(&mut place, format!("{directory}/"), std::io::empty()).map_err(failed)?;
    let mut file = header(tar::EntryType::Regular, content.len() as u64, 0o600);
    archive.append_data(&mut file, format!("{directory}/{name}"), content).map_err(failed)?;
    archive.into_inner().map_err(failed)
}

fn header(kind: tar::EntryType, size: u64, mode: u32) -> tar::Header {
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(kind);
    header.set_size(size);
    header.set_mode(mode);
    header
}

/// The text of the one file in an archive; `None` if there is no plain file in it.
pub(crate) fn only_file(archive: &[u8]) -> Result<Option<String>> {
    let mut archive = tar::Archive::new(archive);
    for entry in archive.entries().map_err(failed)? {
        let entry = entry.map_err(failed)?;
        if entry.header().entry_type() == tar::EntryType::Regular {
            let mut text = String::new();
            entry.take(LARGEST).read_to_string(&mut text).map_err(failed)?;
            return Ok(Some(text));
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn what_is_put_in_comes_out() {
        let archive = private("d", "f", b"{\"a\":1}").unwrap();
        assert_eq!(only_file(&archive).unwrap().as_deref(), Some("{\"a\":1}"));
        let archive = directories(&["a".to_owned(), "a/ü b".to_owned()], 7, 8).unwrap();
        assert_eq!(only_file(&archive).unwrap(), None);
        let mut read = tar::Archive::new(&archive[..]);
        for entry in read.entries().unwrap() {
            let entry = entry.unwrap();
            assert_eq!((entry.header().uid().unwrap(), entry.header().gid().unwrap()), (7, 8));
        }
    }
}
