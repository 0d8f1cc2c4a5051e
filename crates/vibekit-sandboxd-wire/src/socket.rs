//! One message per packet, descriptors beside it.

use std::io::{IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{MemfdFlags, memfd_create};
use rustix::io::Errno;
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage,
    SendFlags, recvmsg, sendmsg,
};
use serde::{Serialize, de::DeserializeOwned};
use zeroize::Zeroizing;

use crate::MAX_MESSAGE;

/// Most descriptors one message carries.
pub const MAX_FDS: usize = 200;

/// Above this a message travels in a memory file: a packet has to fit the socket's send buffer, which the
/// administrator may have made as small as a few pages.
const INLINE: usize = 32 << 10;
const TAG_INLINE: u8 = 0;
const TAG_FILE: u8 = 1;

/// A received message.
pub struct Received<T> {
    /// The message.
    pub message: T,
    /// Its descriptors.
    pub fds: Vec<OwnedFd>,
}

/// Sends one message. `EAGAIN` on a non-blocking socket means nothing was sent.
///
/// # Errors
/// What `sendmsg` says; `EMSGSIZE` for more than [`MAX_MESSAGE`] bytes or [`MAX_FDS`] descriptors.
pub fn send<T: Serialize>(socket: impl AsFd, message: &T, fds: &[BorrowedFd<'_>]) -> Result<(), Errno> {
    let body = Zeroizing::new(postcard::to_allocvec(message).map_err(|_| Errno::INVAL)?);
    if body.len() > MAX_MESSAGE || fds.len() > MAX_FDS {
        return Err(Errno::MSGSIZE);
    }
    if body.len() <= INLINE {
        return packet(socket.as_fd(), TAG_INLINE, &body, fds);
    }
    let file = memfd_create(c"", MemfdFlags::CLOEXEC)?;
    write_all(&file, &body)?;
    let mut all = fds.to_vec();
    all.push(file.as_fd());
    packet(socket.as_fd(), TAG_FILE, &[], &all)
}

/// Receives one message; `None` at end of file.
///
/// # Errors
/// What `recvmsg` says (`EAGAIN` on a non-blocking socket without a message); `EBADMSG` for anything that is not a
/// whole, well-formed message. The connection is useless after `EBADMSG`.
pub fn receive<T: DeserializeOwned>(socket: impl AsFd) -> Result<Option<Received<T>>, Errno> {
    let mut buffer = Zeroizing::new(vec![0_u8; INLINE + 1]);
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_FDS + 1))];
    let mut ancillary = RecvAncillaryBuffer::new(&mut space);
    let got = loop {
        let mut slices = [IoSliceMut::new(&mut buffer)];
        match recvmsg(&socket, &mut slices, &mut ancillary, RecvFlags::CMSG_CLOEXEC) {
            Err(Errno::INTR) => {}
            other => break other?,
        }
    };
    let mut fds = Vec::new();
    for message in ancillary.drain() {
        if let RecvAncillaryMessage::ScmRights(list) = message {
            fds.extend(list);
        }
    }
    if got.bytes == 0 && fds.is_empty() {
        return Ok(None);
    }
    if got.flags.intersects(rustix::net::ReturnFlags::TRUNC | rustix::net::ReturnFlags::CTRUNC) {
        return Err(Errno::BADMSG);
    }
    let body = match buffer.first() {
        Some(&TAG_INLINE) => postcard::from_bytes(buffer.get(1..got.bytes).unwrap_or_default()),
        Some(&TAG_FILE) => {
            let file = fds.pop().ok_or(Errno::BADMSG)?;
            postcard::from_bytes(&read_file(&file)?)
        }
        _ => return Err(Errno::BADMSG),
    };
    Ok(Some(Received { message: body.map_err(|_| Errno::BADMSG)?, fds }))
}

fn packet(socket: BorrowedFd<'_>, tag: u8, body: &[u8], fds: &[BorrowedFd<'_>]) -> Result<(), Errno> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_FDS + 1))];
    let mut ancillary = SendAncillaryBuffer::new(&mut space);
    if !fds.is_empty() && !ancillary.push(SendAncillaryMessage::ScmRights(fds)) {
        return Err(Errno::MSGSIZE);
    }
    loop {
        let slices = [IoSlice::new(std::slice::from_ref(&tag)), IoSlice::new(body)];
        match sendmsg(socket, &slices, &mut ancillary, SendFlags::NOSIGNAL) {
            Err(Errno::INTR) => {}
            other => return other.map(|_| ()),
        }
    }
}

fn write_all(file: &OwnedFd, mut bytes: &[u8]) -> Result<(), Errno> {
    while !bytes.is_empty() {
        match rustix::io::write(file, bytes) {
            Ok(n) => bytes = bytes.get(n..).unwrap_or_default(),
            Err(Errno::INTR) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

fn read_file(file: &OwnedFd) -> Result<Zeroizing<Vec<u8>>, Errno> {
    let size = usize::try_from(rustix::fs::fstat(file)?.st_size).map_err(|_| Errno::BADMSG)?;
    if size > MAX_MESSAGE {
        return Err(Errno::BADMSG);
    }
    let mut body = Zeroizing::new(vec![0; size]);
    let mut at = 0;
    while let Some(rest) = body.get_mut(at..).filter(|rest| !rest.is_empty()) {
        match rustix::io::pread(file, rest, at as u64) {
            Ok(0) => return Err(Errno::BADMSG),
            Ok(n) => at += n,
            Err(Errno::INTR) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(body)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};

    use super::*;

    fn pair() -> (OwnedFd, OwnedFd) {
        socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None).unwrap()
    }

    #[test]
    fn messages_of_any_size_arrive_with_their_descriptors() {
        let (a, b) = pair();
        for size in [0, 1, INLINE - 8, INLINE + 1, 1 << 20] {
            let text = vec![7_u8; size];
            send(&a, &text, &[a.as_fd()]).unwrap();
            let got: Received<Vec<u8>> = receive(&b).unwrap().unwrap();
            assert_eq!(got.message, text);
            assert_eq!(got.fds.len(), 1);
        }
        drop(a);
        assert!(receive::<Vec<u8>>(&b).unwrap().is_none());
    }

    #[test]
    fn garbage_is_refused() {
        let (a, b) = pair();
        for bytes in [&[9_u8, 1, 2][..], &[TAG_FILE], &[TAG_INLINE, 0xff, 0xff, 0xff, 0xff, 0x0f]] {
            rustix::net::send(&a, bytes, SendFlags::empty()).unwrap();
            assert_eq!(receive::<Vec<u8>>(&b).err(), Some(Errno::BADMSG));
        }
        rustix::net::send(&a, &vec![0; INLINE + 100], SendFlags::empty()).unwrap();
        assert_eq!(receive::<Vec<u8>>(&b).err(), Some(Errno::BADMSG));
    }
}
