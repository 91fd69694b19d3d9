//! Dates as HTTP writes them (RFC 9110 §5.6.7).
//!
//! In go seconds since 1970, out comes the text: `Sun, 06 Nov 1994 08:49:37 GMT`. The clock is the caller's.

const DAY: u64 = 24 * 60 * 60;

/// The last second of the year 9999. A year has four digits here; later times are written as this one.
const LAST_SECOND: u64 = 253_402_300_799;

/// 1970-01-01 was a Thursday.
const WEEKDAYS: [&[u8; 3]; 7] = [b"Thu", b"Fri", b"Sat", b"Sun", b"Mon", b"Tue", b"Wed"];

/// The year begins in March, so that a leap day is the last of its year.
const MONTHS: [&[u8; 3]; 12] =
    [b"Mar", b"Apr", b"May", b"Jun", b"Jul", b"Aug", b"Sep", b"Oct", b"Nov", b"Dec", b"Jan", b"Feb"];

/// The current time as the `Date` field wants it, written once a second however many responses ask for it.
#[derive(Clone, Debug)]
pub struct Date {
    unix_seconds: u64,
    text: [u8; 29],
}

impl Date {
    /// The given time.
    #[must_use]
    pub fn new(unix_seconds: u64) -> Self {
        Date { unix_seconds, text: http_date(unix_seconds) }
    }

    /// Moves to the given time. Costs a comparison if it is the same second.
    pub fn update(&mut self, unix_seconds: u64) {
        if self.unix_seconds != unix_seconds {
            *self = Date::new(unix_seconds);
        }
    }

    /// The time it shows, in seconds since 1970.
    #[must_use]
    pub fn unix_seconds(&self) -> u64 {
        self.unix_seconds
    }

    /// The text: always 29 bytes of ASCII.
    #[must_use]
    pub fn as_str(&self) -> &str {
        core::str::from_utf8(&self.text).unwrap_or_default()
    }

    /// The text as it goes out.
    #[must_use]
    pub(super) fn as_bytes(&self) -> &[u8] {
        &self.text
    }
}

/// The IMF-fixdate of a time.
#[must_use]
pub fn http_date(unix_seconds: u64) -> [u8; 29] {
    let seconds = unix_seconds.min(LAST_SECOND);
    let (days, second) = (seconds / DAY, seconds % DAY);
    let (year, month, day) = civil(days);

    let mut text = *b"Thu, 01 Jan 1970 00:00:00 GMT";
    put(&mut text, 0, pick(&WEEKDAYS, days % 7));
    put(&mut text, 5, &two_digits(day));
    put(&mut text, 8, pick(&MONTHS, month));
    put(&mut text, 12, &two_digits(year / 100));
    put(&mut text, 14, &two_digits(year % 100));
    put(&mut text, 17, &two_digits(second / 3600));
    put(&mut text, 20, &two_digits(second / 60 % 60));
    put(&mut text, 23, &two_digits(second % 60));
    text
}

/// Year, month (0 is March) and day (from 1) of a day counted from 1970-01-01.
///
/// Counted in years that begin in March, from 0000-03-01: 400 of them have 146,097 days, and within a year
/// each stretch of five months from March on has 153 days, whatever February does.
fn civil(days: u64) -> (u64, u64, u64) {
    const ERA: u64 = 146_097;
    let days = days + 719_468;
    let (era, day_of_era) = (days / ERA, days % ERA);
    let leap_corrected = day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096;
    let year_of_era = leap_corrected / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let year = era * 400 + year_of_era + u64::from(month >= 10);
    (year, month, day)
}

fn pick<'a>(names: &[&'a [u8; 3]], index: u64) -> &'a [u8] {
    usize::try_from(index).ok().and_then(|index| names.get(index)).map_or(&[], |name| name.as_slice())
}

fn two_digits(value: u64) -> [u8; 2] {
    let digit = |value: u64| b'0' + (value % 10) as u8;
    [digit(value / 10), digit(value)]
}

fn put(text: &mut [u8; 29], at: usize, part: &[u8]) {
    if let Some(place) = text.get_mut(at..at + part.len()) {
        place.copy_from_slice(part);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_dates() {
        // The expected texts are those of GNU date.
        let table = [
            (0, "Thu, 01 Jan 1970 00:00:00 GMT"),
            (1, "Thu, 01 Jan 1970 00:00:01 GMT"),
            (DAY - 1, "Thu, 01 Jan 1970 23:59:59 GMT"),
            (784_111_777, "Sun, 06 Nov 1994 08:49:37 GMT"), // RFC 9110 §5.6.7
            (951_782_399, "Mon, 28 Feb 2000 23:59:59 GMT"),
            (951_782_400, "Tue, 29 Feb 2000 00:00:00 GMT"),
            (951_868_800, "Wed, 01 Mar 2000 00:00:00 GMT"),
            (1_709_164_800, "Thu, 29 Feb 2024 00:00:00 GMT"),
            (1_735_689_599, "Tue, 31 Dec 2024 23:59:59 GMT"),
            (1_735_689_600, "Wed, 01 Jan 2025 00:00:00 GMT"),
            (2_147_483_647, "Tue, 19 Jan 2038 03:14:07 GMT"),
            (2_147_483_648, "Tue, 19 Jan 2038 03:14:08 GMT"),
            (4_107_542_399, "Sun, 28 Feb 2100 23:59:59 GMT"),
            (4_107_542_400, "Mon, 01 Mar 2100 00:00:00 GMT"),
            (LAST_SECOND, "Fri, 31 Dec 9999 23:59:59 GMT"),
            (LAST_SECOND + 1, "Fri, 31 Dec 9999 23:59:59 GMT"),
            (u64::MAX, "Fri, 31 Dec 9999 23:59:59 GMT"),
        ];
        for (seconds, text) in table {
            assert_eq!(Date::new(seconds).as_str(), text, "{seconds}");
        }
    }

    /// Every day of four centuries, against a calendar that counts month by month.
    #[test]
    fn every_day_follows_the_one_before() {
        let names = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
        let (mut year, mut month, mut day) = (1970, 0, 1);
        for days in 0..=146_097 {
            let text = http_date(days * DAY);
            let expected = format!("{day:02} {} {year:04}", names[month]);
            assert_eq!(&text[5..16], expected.as_bytes(), "day {days}");

            let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
            let length = [31, if leap { 29 } else { 28 }, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31][month];
            day += 1;
            if day > length {
                day = 1;
                month += 1;
            }
            if month == 12 {
                month = 0;
                year += 1;
            }
        }
    }

    #[test]
    fn an_update_shows_and_goes_both_ways() {
        let mut date = Date::new(784_111_777);
        date.update(784_111_777);
        assert_eq!(date.as_str(), "Sun, 06 Nov 1994 08:49:37 GMT");
        assert_eq!(date.unix_seconds(), 784_111_777);
        date.update(784_111_778);
        assert_eq!(date.unix_seconds(), 784_111_778);
        assert_eq!(date.as_str(), "Sun, 06 Nov 1994 08:49:38 GMT");
        date.update(0);
        assert_eq!(date.as_str(), "Thu, 01 Jan 1970 00:00:00 GMT");
    }
}
