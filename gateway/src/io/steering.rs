//! The program that the kernel runs for each datagram of a SO_REUSEPORT group: it reads the lane from the frame's
//! header and answers with the index of the socket, that is of the shard, that owns it. So every heartbeat reaches
//! the one thread that knows its node, and shards share nothing.
//!
//! Classic BPF, three instructions (`Documentation/networking/filter.rst`); the kernel lets it see the datagram from
//! the first byte of the UDP payload (`run_bpf_filter` in net/core/sock_reuseport.c):
//!
//! ```text
//!   A ← payload[4]        a datagram too short for that: the program returns 0
//!   A ← A mod shards      as pulsegate_codec::Lane::shard
//!   return A              the socket bound as number A
//! ```
//!
//! A train of datagrams glued together (UDP_GRO) is steered whole, by its first frame. What a shard receives for
//! another one is therefore possible, and forwarding it is the worker's business.

use std::io;
use std::os::fd::BorrowedFd;

use pulsegate_codec::frame::LANE_OFFSET;

use crate::io::descriptor;
use crate::io::limits;

/// One classic BPF instruction, as `struct sock_filter`.
pub type Instruction = libc::sock_filter;

// Operation codes: include/uapi/linux/bpf_common.h.
const LOAD_BYTE_ABSOLUTE: u16 = 0x30; // BPF_LD | BPF_B | BPF_ABS
const MODULO_CONSTANT: u16 = 0x94; // BPF_ALU | BPF_MOD | BPF_K
const RETURN_ACCUMULATOR: u16 = 0x16; // BPF_RET | BPF_A

#[expect(clippy::cast_possible_truncation, reason = "4")]
const LANE_OFFSET_U32: u32 = LANE_OFFSET as u32;

/// The steering program for `shard_count` shards.
///
/// # Panics
/// If `shard_count` is 0 or above [`limits::SHARDS_MAX`].
#[must_use]
pub fn program(shard_count: usize) -> [Instruction; 3] {
    assert!((1..=limits::SHARDS_MAX).contains(&shard_count), "{shard_count} shards");
    let shard_count = u32::try_from(shard_count).unwrap_or(1);
    let instruction = |code, k| Instruction { code, jt: 0, jf: 0, k };
    [
        instruction(LOAD_BYTE_ABSOLUTE, LANE_OFFSET_U32),
        instruction(MODULO_CONSTANT, shard_count),
        instruction(RETURN_ACCUMULATOR, 0),
    ]
}

/// Attaches the program to the group that `socket` is a member of.
pub(super) fn attach(socket: BorrowedFd<'_>, shard_count: usize) -> io::Result<()> {
    let mut instructions = program(shard_count);
    let program = libc::sock_fprog {
        len: u16::try_from(instructions.len()).unwrap_or(0),
        filter: instructions.as_mut_ptr(),
    };
    descriptor::set_option(socket, libc::SOL_SOCKET, libc::SO_ATTACH_REUSEPORT_CBPF, &program)
}

#[cfg(test)]
mod tests {
    use pulsegate_codec::Lane;

    use super::*;

    /// Runs a program as net/core/filter.c would: the three operations that we use, a load out of bounds returns 0.
    fn interpret(program: &[Instruction], payload: &[u8]) -> u32 {
        let mut accumulator = 0;
        for instruction in program {
            match instruction.code {
                LOAD_BYTE_ABSOLUTE => match payload.get(instruction.k as usize) {
                    Some(byte) => accumulator = u32::from(*byte),
                    None => return 0,
                },
                MODULO_CONSTANT => accumulator %= instruction.k,
                RETURN_ACCUMULATOR => return accumulator,
                code => panic!("unknown operation {code:#x}"),
            }
        }
        panic!("the program does not return")
    }

    #[test]
    fn program_equals_lane_shard_for_every_lane_and_shard_count() {
        for shard_count in 1..=limits::SHARDS_MAX {
            let program = program(shard_count);
            for lane in 0..=255 {
                let mut frame = [0xee; 16];
                frame[LANE_OFFSET] = lane;
                assert_eq!(interpret(&program, &frame) as usize, Lane(lane).shard(shard_count));
            }
        }
    }

    #[test]
    fn datagram_too_short_for_a_lane_goes_to_the_first_shard() {
        assert_eq!(interpret(&program(3), &[1, 2, 3, 4]), 0);
        assert_eq!(interpret(&program(3), &[]), 0);
    }
}
