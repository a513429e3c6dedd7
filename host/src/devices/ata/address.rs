//! The task file: registers that remember two values each, and the addresses in them.

/// One register with its previous value, which 48-bit commands use as the high byte.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Twice {
    pub now: u8,
    pub before: u8,
}

impl Twice {
    pub fn set(&mut self, value: u8) {
        self.before = self.now;
        self.now = value;
    }
}

/// The registers that carry a command's arguments. Both drives of a channel see every write.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct TaskFile {
    pub feature: Twice,
    pub count: Twice,
    /// Low, middle, high.
    pub lba: [Twice; 3],
    pub device: u8,
}

/// How a command says which sectors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// 28 bits, or cylinder/head/sector when the device register says so.
    Short,
    /// 48 bits.
    Long,
}

/// The layout that INITIALIZE DEVICE PARAMETERS sets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Geometry {
    pub heads: u8,
    pub sectors: u8,
}

impl Geometry {
    pub const DEFAULT: Self = Self {
        heads: 16,
        sectors: 63,
    };
}

impl TaskFile {
    /// What a drive leaves in the registers after a reset: an ATA disk.
    pub fn signature() -> Self {
        let one = Twice { now: 1, before: 0 };
        Self {
            count: one,
            lba: [one, Twice::default(), Twice::default()],
            ..Self::default()
        }
    }

    /// Sectors named: 1 to 256, or to 65536.
    pub fn sectors(&self, form: Form) -> u32 {
        match form {
            Form::Short => match self.count.now {
                0 => 256,
                n => n.into(),
            },
            Form::Long => match u16::from_be_bytes([self.count.before, self.count.now]) {
                0 => 65_536,
                n => n.into(),
            },
        }
    }

    /// First sector, or `None` when cylinder/head/sector name none.
    pub fn start(&self, form: Form, geometry: Geometry) -> Option<u64> {
        let [low, mid, high] = self.lba;
        let byte = u64::from;
        Some(match form {
            Form::Long => {
                byte(low.now)
                    | byte(mid.now) << 8
                    | byte(high.now) << 16
                    | byte(low.before) << 24
                    | byte(mid.before) << 32
                    | byte(high.before) << 40
            }
            Form::Short if self.device & 0x40 != 0 => {
                byte(low.now)
                    | byte(mid.now) << 8
                    | byte(high.now) << 16
                    | byte(self.device & 0x0f) << 24
            }
            Form::Short => {
                let head = self.device & 0x0f;
                if low.now == 0 || low.now > geometry.sectors || head >= geometry.heads {
                    return None;
                }
                let cylinder = byte(mid.now) | byte(high.now) << 8;
                (cylinder * byte(geometry.heads) + byte(head)) * byte(geometry.sectors)
                    + byte(low.now)
                    - 1
            }
        })
    }

    /// Puts the number of a sector back, in the form it came.
    pub fn put_start(&mut self, lba: u64, form: Form) {
        let [a, b, c, d, e, f, ..] = lba.to_le_bytes();
        match form {
            Form::Long => {
                for (register, (now, before)) in self.lba.iter_mut().zip([(a, d), (b, e), (c, f)]) {
                    *register = Twice { now, before };
                }
            }
            Form::Short if self.device & 0x40 != 0 => {
                for (register, now) in self.lba.iter_mut().zip([a, b, c]) {
                    register.now = now;
                }
                self.device = self.device & 0xf0 | d & 0x0f;
            }
            Form::Short => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses() {
        let mut file = TaskFile::default();
        for (register, (before, now)) in file.lba.iter_mut().zip([(4, 1), (5, 2), (6, 3)]) {
            register.set(before);
            register.set(now);
        }
        let start = |file: &TaskFile, form| file.start(form, Geometry::DEFAULT);
        assert_eq!(start(&file, Form::Long), Some(0x0605_0403_0201));
        file.device = 0xea;
        assert_eq!(start(&file, Form::Short), Some(0x0a03_0201));
        file.device = 0xa1;
        assert_eq!(
            start(&file, Form::Short),
            Some((0x302 * 16 + 1) * 63),
            "sector 1 is the first"
        );
        file.lba[0].now = 0;
        assert_eq!(start(&file, Form::Short), None);
        assert_eq!(file.sectors(Form::Short), 256);
        assert_eq!(file.sectors(Form::Long), 65_536);
    }

    #[test]
    fn an_address_put_back_reads_the_same() {
        let mut file = TaskFile {
            device: 0xe0,
            ..TaskFile::default()
        };
        file.put_start(0x1234_5678_9abc, Form::Long);
        assert_eq!(
            file.start(Form::Long, Geometry::DEFAULT),
            Some(0x1234_5678_9abc)
        );
        file.put_start(0x0abc_def0, Form::Short);
        assert_eq!(
            file.start(Form::Short, Geometry::DEFAULT),
            Some(0x0abc_def0)
        );
    }
}
