//! Small text layout: wrapping and mail dates.

/// Wraps `text` at blanks to `width` columns; the first line starts with `first`, the others with `rest`.
/// A word longer than a line stays whole. Blank lines separate paragraphs and are kept.
pub(super) fn wrap(text: &str, width: usize, first: &str, rest: &str) -> String {
    let mut out = String::new();
    let mut lead = first;
    for paragraph in text.split("\n\n") {
        if !out.is_empty() {
            out.push('\n');
        }
        let mut line = String::new();
        for word in paragraph.split_whitespace() {
            let columns =
                lead.chars().count() + line.chars().count() + usize::from(!line.is_empty());
            if !line.is_empty() && columns + word.chars().count() > width {
                push_line(&mut out, lead, &line);
                lead = rest;
                line.clear();
            }
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(word);
        }
        if !line.is_empty() {
            push_line(&mut out, lead, &line);
            lead = rest;
        }
    }
    out
}

fn push_line(out: &mut String, lead: &str, line: &str) {
    out.push_str(lead);
    out.push_str(line);
    out.push('\n');
}

/// `time` (seconds since 1970, not negative) as RFC 5322 writes it, in UTC.
pub(super) fn mail_date(time: i64) -> String {
    const DAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
    const MONTHS: [&str; 12] = [
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
    ];
    let days = time.div_euclid(86_400);
    let (year, month, day) = civil(days);
    let second = time.rem_euclid(86_400);
    format!(
        "{}, {day} {} {year} {:02}:{:02}:{:02} +0000",
        DAYS[days.rem_euclid(7) as usize],
        MONTHS[month - 1],
        second / 3600,
        second / 60 % 60,
        second % 60
    )
}

/// The Gregorian date of a day since 1970 (H. Hinnant, "chrono-compatible low-level date algorithms").
fn civil(days: i64) -> (i64, usize, i64) {
    let z = days + 719_468;
    let era = z.div_euclid(146_097);
    let doe = z.rem_euclid(146_097);
    let yoe = (doe - doe / 1460 + doe / 36_524 - doe / 146_096) / 365;
    let doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    let mp = (5 * doy + 2) / 153;
    let month = if mp < 10 { mp + 3 } else { mp - 9 };
    (
        yoe + era * 400 + i64::from(month <= 2),
        month as usize,
        doy - (153 * mp + 2) / 5 + 1,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates() {
        assert_eq!(mail_date(0), "Thu, 1 Jan 1970 00:00:00 +0000");
        assert_eq!(mail_date(1_000_684_800), "Mon, 17 Sep 2001 00:00:00 +0000");
        assert_eq!(mail_date(1_709_251_199), "Thu, 29 Feb 2024 23:59:59 +0000");
        assert_eq!(
            mail_date(253_402_300_799),
            "Fri, 31 Dec 9999 23:59:59 +0000"
        );
    }

    #[test]
    fn wrapping_keeps_paragraphs_and_long_words() {
        assert_eq!(wrap("a b c", 5, "- ", "  "), "- a b\n  c\n");
        assert_eq!(wrap("one\n\ntwo", 9, "", ""), "one\n\ntwo\n");
        assert_eq!(wrap("x abcdefgh y", 4, "", ""), "x\nabcdefgh\ny\n");
        assert_eq!(wrap("", 4, "", ""), "");
    }
}
