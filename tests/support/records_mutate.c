#include "tests/support/records_mutate.h"

#include <stdbool.h>
#include <string.h>

#define HEADER		8
#define TYPE_MAX	11	/* FastCGI 1.0 section 8 */
#define LOOK_MAX	4096	/* records that are looked at */

/* Where a record begins, and its parts in bytes. */
struct record {
	size_t at;
	size_t content;
	size_t padding;
};

/* The bytes in hand. */
struct bytes {
	uint8_t        *data;
	size_t          size;
	size_t          max;
	struct bg_dice *dice;
};

/* splitmix64, whose steps are known to have no short cycles whatever the seed. */
uint32_t
bg_dice_roll(struct bg_dice *dice, uint32_t sides)
{
	uint64_t z = dice->state += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return (uint32_t)((z ^ (z >> 31)) >> 32) % sides;
}

/* Make room for n bytes at at, which are cleared.  False: there is none. */
static bool
open_gap(struct bytes *b, size_t at, size_t n)
{
	if (n > b->max - b->size)
		return false;
	memmove(b->data + at + n, b->data + at, b->size - at);
	memset(b->data + at, 0, n);
	b->size += n;
	return true;
}

static void
cut(struct bytes *b, size_t at, size_t n)
{
	memmove(b->data + at, b->data + at + n, b->size - at - n);
	b->size -= n;
}

/* A record of those that are whole, at random.  False: there is none. */
static bool
pick(const struct bytes *b, struct record *out)
{
	size_t at = 0, seen = 0;

	while (seen < LOOK_MAX && b->size - at >= HEADER) {
		struct record here = { at, (size_t)b->data[at + 4] << 8 | b->data[at + 5], b->data[at + 6] };
		size_t length = HEADER + here.content + here.padding;

		if (length > b->size - at)
			break;
		if (bg_dice_roll(b->dice, (uint32_t)++seen) == 0)
			*out = here;
		at += length;
	}
	return seen > 0;
}

static size_t
length_of(const struct record *r)
{
	return HEADER + r->content + r->padding;
}

static void
write_content(struct bytes *b, const struct record *r, size_t content)
{
	b->data[r->at + 4] = (uint8_t)(content >> 8);
	b->data[r->at + 5] = (uint8_t)content;
}

static void
repeat(struct bytes *b, const struct record *r)
{
	size_t n = length_of(r);

	if (open_gap(b, r->at, n))
		memcpy(b->data + r->at, b->data + r->at + n, n);
}

static void
drop(struct bytes *b, const struct record *r)
{
	cut(b, r->at, length_of(r));
}

static void
split(struct bytes *b, const struct record *r)
{
	size_t first = r->content > 0 ? bg_dice_roll(b->dice, (uint32_t)r->content) : 0;
	size_t middle = r->at + HEADER + first;

	if (!open_gap(b, middle, HEADER))
		return;
	memcpy(b->data + middle, b->data + r->at, HEADER);
	b->data[r->at + 6] = 0;
	write_content(b, r, first);
	write_content(b, &(struct record){ .at = middle }, r->content - first);
}

/* The next record loses its header, where there is one to lose. */
static void
join(struct bytes *b, const struct record *r)
{
	size_t next = r->at + HEADER + r->content, content;

	if (r->padding > 0 || b->size - next < HEADER)
		return;
	content = r->content + ((size_t)b->data[next + 4] << 8 | b->data[next + 5]);
	if (content > UINT16_MAX)
		return;
	b->data[r->at + 6] = b->data[next + 6];
	write_content(b, r, content);
	cut(b, next, HEADER);
}

static void
pad(struct bytes *b, const struct record *r)
{
	size_t padding = bg_dice_roll(b->dice, 256);

	cut(b, r->at + HEADER + r->content, r->padding);
	b->data[r->at + 6] = 0;
	if (open_gap(b, r->at + HEADER + r->content, padding))
		b->data[r->at + 6] = (uint8_t)padding;
}

static void
change_header(struct bytes *b, const struct record *r)
{
	switch (bg_dice_roll(b->dice, 8)) {
	case 0:
		b->data[r->at] = (uint8_t)bg_dice_roll(b->dice, 4);
		break;
	case 1:
	case 2:
	case 3:
		b->data[r->at + 1] = (uint8_t)bg_dice_roll(b->dice, TYPE_MAX + 2);
		break;
	case 4:
		b->data[r->at + 2] = (uint8_t)bg_dice_roll(b->dice, 2);
		b->data[r->at + 3] = (uint8_t)bg_dice_roll(b->dice, 4);
		break;
	case 5:		/* the length alone: the records behind it move out of step */
		write_content(b, r, r->content + bg_dice_roll(b->dice, 5) - 2);
		break;
	case 6:
		write_content(b, r, bg_dice_roll(b->dice, UINT16_MAX + 1));
		break;
	default:
		b->data[r->at + 6] = (uint8_t)bg_dice_roll(b->dice, 256);
		break;
	}
}

/* A role and flags; of a record that is no BEGIN, its first bytes. */
static void
change_begin(struct bytes *b, const struct record *r)
{
	if (r->content < 3)
		return;
	b->data[r->at + HEADER + bg_dice_roll(b->dice, 3)] = (uint8_t)bg_dice_roll(b->dice, 5);
}

/* Lengths of a name and a value that a reader may stumble over, or a small good pair, somewhere in the content. */
static void
write_pair(struct bytes *b, const struct record *r)
{
	static const uint8_t texts[][10] = {
		{ 8, 0x80, 0, 0, 1, 0x80, 0, 0, 1, },
		{ 8, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, },
		{ 8, 0xff, 0xff, 0xff, 0xfe, 0x80, 0, 0, 5, },
		{ 8, 0xc0, 0, 0, 0, 0xc0, 0, 0, 0, },
		{ 8, 0xff, 0xff, 0xff, 0, 0x80, 0, 0, 0, },
		{ 5, 0x80, 0, 0, 0, 1, },
		{ 4, 1, 1, 'A', 'B', },
		{ 3, 1, 0, 'A', },
		{ 7, 0x80, 0, 0, 1, 1, 'A', 'B', },
		{ 4, 1, 1, '=', 'B', },
		{ 2, 0, 1, },
		{ 1, 0x80, },
	};
	const uint8_t *text = texts[bg_dice_roll(b->dice, sizeof(texts) / sizeof(texts[0]))];
	size_t where = r->at + HEADER + (bg_dice_roll(b->dice, 2) == 0 ? 0 : bg_dice_roll(b->dice, (uint32_t)r->content + 1));

	if (r->content + text[0] > UINT16_MAX || !open_gap(b, where, text[0]))
		return;
	memcpy(b->data + where, text + 1, text[0]);
	write_content(b, r, r->content + text[0]);
}

static void
change_byte(struct bytes *b, const struct record *r)
{
	static const uint8_t odd[] = { 0, 1, '=', 0x7f, 0x80, 0xff, '\r', '\n' };

	if (r->content == 0)
		return;
	b->data[r->at + HEADER + bg_dice_roll(b->dice, (uint32_t)r->content)] = bg_dice_roll(b->dice, 2) == 0 ?
	    odd[bg_dice_roll(b->dice, sizeof(odd))] : (uint8_t)bg_dice_roll(b->dice, 256);
}

/* A record that nobody asked for, in front of this one. */
static void
insert(struct bytes *b, const struct record *r)
{
	static const uint8_t records[][16] = {
		{ 1, 1, 0, 1, 0, 8, 0, 0, 0, 2 }, { 1, 1, 0, 1, 0, 8, 0, 0, 0, 1 }, { 1, 1, 0, 2, 0, 8, 0, 0, 0, 3 },
		{ 1, 2, 0, 1 }, { 1, 4, 0, 1 }, { 1, 5, 0, 1 }, { 1, 8, 0, 1 }, { 1, 9, 0, 0 }, { 1, 99, 0, 0 },
		{ 1, 9, 0, 0, 0, 8, 0, 0, 6, 0, 'A', 'B', 'C', 'D', 'E', 'F' },
	};
	const uint8_t *record = records[bg_dice_roll(b->dice, sizeof(records) / sizeof(records[0]))];
	size_t n = HEADER + (size_t)record[5];

	if (open_gap(b, r->at, n))
		memcpy(b->data + r->at, record, n);
}

static void
end_here(struct bytes *b, const struct record *r)
{
	b->size = r->at + bg_dice_roll(b->dice, (uint32_t)length_of(r) + 1);
}

static void
mutate_blindly(struct bytes *b)
{
	size_t at;

	if (b->size == 0 || bg_dice_roll(b->dice, 4) == 0) {
		at = bg_dice_roll(b->dice, (uint32_t)b->size + 1);
		if (open_gap(b, at, 1))
			b->data[at] = (uint8_t)bg_dice_roll(b->dice, 256);
		return;
	}
	at = bg_dice_roll(b->dice, (uint32_t)b->size);
	if (bg_dice_roll(b->dice, 3) == 0)
		cut(b, at, 1);
	else
		b->data[at] = (uint8_t)bg_dice_roll(b->dice, 256);
}

size_t
bg_rec_mutate(uint8_t *data, size_t size, size_t max, struct bg_dice *dice)
{
	static void (*const ways[])(struct bytes *b, const struct record *r) = {
		repeat, drop, split, split, join, join, pad, change_header, change_header, change_begin, write_pair, write_pair,
		change_byte, change_byte, insert, end_here,
	};
	struct bytes b = { data, size, max, dice };
	struct record record;

	if (bg_dice_roll(dice, 16) == 0 || !pick(&b, &record))
		mutate_blindly(&b);
	else
		ways[bg_dice_roll(dice, sizeof(ways) / sizeof(ways[0]))](&b, &record);
	return b.size;
}
