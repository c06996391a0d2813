//! How much a view keeps, and for whom. Never here: a change of anything but the count.

use super::{Mode, View};

impl View {
    /// Bytes of frames that are kept.
    #[must_use]
    pub fn log_len(&self) -> usize {
        self.log.len() - self.start
    }

    /// The bytes of memory that were counted for the log last, and those that it takes now, which count from now on.
    #[must_use]
    pub fn recount(&mut self) -> (usize, usize) {
        let is = self.log.capacity();
        (std::mem::replace(&mut self.counted, is), is)
    }

    /// Bytes of the log that the member at `index` still needs.
    #[must_use]
    pub fn lag_of(&self, index: u32) -> usize {
        let member = &self.members[index as usize];
        let from = match member.mode {
            Mode::Served => member.served,
            Mode::Behind => member.needs,
            Mode::Skipping => self.end,
        };
        self.end.wrapping_sub(from) as usize
    }

    /// Bytes that those who are behind still need, all together.
    #[must_use]
    pub fn behind_bytes(&self) -> u64 {
        if self.behind == 0 {
            return 0;
        }
        let behind = self.members.iter().filter(|member| member.mode == Mode::Behind);
        behind.map(|member| u64::from(self.end.wrapping_sub(member.needs))).sum()
    }
}
