//! Checkpoints: one that can be read is written back as it was, any other is refused.
#![no_main]

use std::path::Path;

use libfuzzer_sys::fuzz_target;
use ojad::checkpoint::{Checkpoint, Section};
use ojad::codec::Decoder;
use ojad::daemon::run::inspect;
use ojad::learner::drift::Drift;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(checkpoint) = Checkpoint::decode(bytes, Path::new("fuzz")) {
        let again = Checkpoint::decode(&checkpoint.encode(), Path::new("fuzz"));
        assert_eq!(again.ok().as_ref(), Some(&checkpoint));
        let _ = inspect(&checkpoint);
    }
    // Behind the checksum, where a fuzzer does not get by itself.
    let mut checkpoint = Checkpoint { sequence: 1, sections: Vec::new() };
    let mut rest = bytes;
    for section in Section::ALL {
        let Some((len, more)) = rest.split_at_checked(2) else { break };
        let len = usize::from(u16::from_le_bytes([len[0], len[1]])).min(more.len());
        checkpoint.put(section, more[..len].to_vec());
        rest = &more[len..];
    }
    let _ = inspect(&checkpoint);
    let _ = Drift::restore(&mut Decoder::new("drift", bytes), 8);
});
