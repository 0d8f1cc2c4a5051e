//! Forging what an overlay file system keeps in its upper layer.

use std::ffi::{CStr, OsString};

use crate::report::isolated;
use crate::sys::{self, sys};

const FORGERIES: &[(&CStr, &[u8])] = &[
    (c"user.overlay.opaque", b"y"),
    (c"user.overlay.redirect", b"/../../../etc"),
    (c"user.overlay.metacopy", b""),
    (c"user.overlay.origin", b"\0\xfb\x15\0\x01"),
    (c"trusted.overlay.opaque", b"y"),
    (c"trusted.overlay.redirect", b"/etc"),
    (c"security.capability", b"\x01\0\0\x02\xff\xff\xff\xff\0\0\0\0\0\0\0\0\0\0\0\0"),
];

/// `overlay DIRECTORY`: whiteouts and the attributes overlayfs believes, set by hand.
pub(crate) fn overlay(arguments: &[OsString]) {
    let Some(directory) = arguments.first() else { return };
    let directory = std::path::Path::new(directory);
    isolated(56, "whiteout node", || {
        let at = sys::cstring(directory.join("whiteout"));
        sys!(libc::SYS_mknodat, libc::AT_FDCWD, at.as_c_str(), libc::S_IFCHR, 0)
    });
    isolated(56, "rename with whiteout", || {
        let (old, new) = (directory.join("moved"), directory.join("moved-away"));
        std::fs::write(&old, "x")?;
        let (old, new) = (sys::cstring(old), sys::cstring(new));
        let whiteout = libc::RENAME_WHITEOUT;
        sys!(libc::SYS_renameat2, libc::AT_FDCWD, old.as_c_str(), libc::AT_FDCWD, new.as_c_str(), whiteout)
    });
    for (name, value) in FORGERIES {
        isolated(56, &format!("forge {}", name.to_string_lossy()), || {
            let forged = directory.join("forged");
            std::fs::create_dir_all(&forged)?;
            let at = sys::cstring(forged);
            sys!(libc::SYS_setxattr, at.as_c_str(), *name, value.as_ptr(), value.len(), 0)
        });
    }
}
