//! What the kernel wrote about one message: the sender's address, the control messages, and where one datagram of a
//! train ends. Plain bytes in, values out; nothing here can fail or panic, whatever the bytes.

use std::mem::size_of;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};

use crate::io::receiver::{Datagram, Reaped};

/// Room for a sender's address: the size of `sockaddr_in6`, the longer of the two.
pub(super) const NAME_BYTES: usize = size_of::<libc::sockaddr_in6>();

/// Room for the one control message that we ask for: a segment size in a C `int`.
pub(super) const CONTROL_BYTES: usize = CONTROL_HEADER_BYTES + CONTROL_ALIGNMENT;

// `struct cmsghdr` as the kernel writes it: length (size_t), level (int), type (int); see include/linux/socket.h.
const CONTROL_HEADER_BYTES: usize = size_of::<usize>() + 2 * size_of::<libc::c_int>();
const CONTROL_ALIGNMENT: usize = size_of::<usize>();

/// One filled receive buffer, taken apart.
#[derive(Clone, Copy, Debug)]
pub(super) struct Message<'a> {
    /// The sender's address, as a `sockaddr`.
    pub(super) name: &'a [u8],
    /// Control messages.
    pub(super) control: &'a [u8],
    /// One datagram, or a train of equally long ones of which the last may be shorter.
    pub(super) payload: &'a [u8],
    /// The payload did not fit.
    pub(super) truncated: bool,
}

impl Message<'_> {
    /// Hands over the message's datagrams and counts them.
    #[inline]
    pub(super) fn split(self, reaped: &mut Reaped, consume: &mut impl FnMut(Datagram<'_>)) {
        let source = source_address(self.name);
        let segment_bytes = if self.control.is_empty() { 0 } else { segment_bytes(self.control) };
        reaped.buffers += 1;
        reaped.payload_bytes += self.payload.len() as u64;
        if segment_bytes == 0 || segment_bytes >= self.payload.len() {
            reaped.datagrams += 1;
            reaped.truncated += u64::from(self.truncated);
            consume(Datagram { payload: self.payload, source, truncated: self.truncated });
            return;
        }
        let mut rest = self.payload;
        while !rest.is_empty() {
            let (payload, behind) = rest.split_at(segment_bytes.min(rest.len()));
            rest = behind;
            // Only the datagram at the cut has lost anything.
            let truncated = self.truncated && rest.is_empty();
            reaped.datagrams += 1;
            reaped.truncated += u64::from(truncated);
            consume(Datagram { payload, source, truncated });
        }
    }
}

/// Bytes of each datagram of a train, from the UDP_GRO control message; 0 if it is a single datagram.
fn segment_bytes(mut control: &[u8]) -> usize {
    while let Some((header, data)) = control.split_at_checked(CONTROL_HEADER_BYTES) {
        let (length, kind) = header.split_at(size_of::<usize>());
        let length = usize::from_ne_bytes(array_of(length));
        let (level, kind) = kind.split_at(size_of::<libc::c_int>());
        let level = libc::c_int::from_ne_bytes(array_of(level));
        let kind = libc::c_int::from_ne_bytes(array_of(kind));
        if level == libc::SOL_UDP && kind == libc::UDP_GRO {
            let value = data
                .get(..size_of::<libc::c_int>())
                .map_or(0, |data| libc::c_int::from_ne_bytes(array_of(data)));
            return usize::try_from(value).unwrap_or(0);
        }
        // A length shorter than a header would never advance.
        let Some(next) = length.max(CONTROL_HEADER_BYTES).checked_next_multiple_of(CONTROL_ALIGNMENT) else {
            return 0;
        };
        control = control.get(next..).unwrap_or(&[]);
    }
    0
}

/// The sender's address; the unspecified address and port 0 if it is of no family that we bind.
#[inline]
fn source_address(name: &[u8]) -> SocketAddr {
    let family = name.get(..2).map_or(0, |bytes| u16::from_ne_bytes(array_of(bytes)));
    let port = name.get(2..4).map_or(0, |bytes| u16::from_be_bytes(array_of(bytes)));
    if family == FAMILY_V4
        && let Some(address) = name.get(4..8)
    {
        return SocketAddr::new(IpAddr::V4(Ipv4Addr::from(array_of::<4>(address))), port);
    }
    if family == FAMILY_V6
        && let Some(flow_info) = name.get(4..8)
        && let Some(address) = name.get(8..24)
        && let Some(scope) = name.get(24..28)
    {
        let address = Ipv6Addr::from(array_of::<16>(address));
        let flow_info = u32::from_be_bytes(array_of(flow_info));
        return SocketAddr::V6(SocketAddrV6::new(
            address,
            port,
            flow_info,
            u32::from_ne_bytes(array_of(scope)),
        ));
    }
    SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0)
}

#[expect(clippy::cast_possible_truncation, reason = "2 and 10")]
const FAMILY_V4: u16 = libc::AF_INET.cast_unsigned() as u16;
#[expect(clippy::cast_possible_truncation, reason = "2 and 10")]
const FAMILY_V6: u16 = libc::AF_INET6.cast_unsigned() as u16;

/// The bytes as an array; zeros where there are too few, which the callers have ruled out.
#[inline]
fn array_of<const N: usize>(bytes: &[u8]) -> [u8; N] {
    bytes.try_into().unwrap_or([0; N])
}

#[cfg(test)]
mod tests;
