"""XBufferSlot, XBufferSlots and XFiFo."""
from harness import needs_threads, raises, start_new_thread, wait

from XAsyncSockets import XBufferSlot, XBufferSlots, XFiFo, XFiFoException


def test_a_slot_has_a_size_and_a_buffer():
    for slot in (XBufferSlot(10), XBufferSlot(10, False), XBufferSlot(size=10, keepAlloc=True)):
        assert slot.Size == 10
        assert slot.Available is True
        slot.Available = False
        assert slot.Available is False
        assert len(slot.Buffer) == 10
        memoryview(slot.Buffer)[:] = b'0123456789'
        assert bytes(slot.Buffer) == b'0123456789'
        slot.Available = True
        assert slot.Available is True


def test_slots_are_taken_until_there_are_none():
    for slots in (XBufferSlots(3, 8), XBufferSlots(slotsCount=3, slotsSize=8, keepAlloc=False)):
        assert slots.SlotsCount == 3
        assert slots.SlotsSize == 8
        assert len(slots.Slots) == 3
        taken = [slots.GetAvailableSlot() for _ in range(3)]
        assert all([isinstance(slot, XBufferSlot) and slot.Size == 8 for slot in taken])
        assert len(set([id(slot) for slot in taken])) == 3, 'each slot is used once'
        assert not any([slot.Available for slot in taken])
        assert slots.GetAvailableSlot() is None
        taken[1].Available = True
        assert slots.GetAvailableSlot() is taken[1]
        assert slots.GetAvailableSlot() is None
        for slot in taken:
            slot.Available = True
        assert slots.GetAvailableSlot() is not None


def test_a_slot_set_available_twice_is_given_once():
    slots = XBufferSlots(2, 8)
    slot = slots.GetAvailableSlot()
    slot.Available = True
    slot.Available = True
    assert len([1 for _ in range(5) if slots.GetAvailableSlot()]) == 2


def test_reading_the_buffer_of_a_free_slot_does_not_take_it():
    slots = XBufferSlots(1, 8)
    for _ in range(2):
        slots.Slots[0].Buffer
        assert slots.Slots[0].Available is True
    assert slots.GetAvailableSlot() is slots.Slots[0]
    assert slots.GetAvailableSlot() is None


def test_a_slot_marked_taken_by_hand_is_not_given():
    slots = XBufferSlots(2, 8)
    slots.Slots[0].Available = False
    assert slots.GetAvailableSlot() is slots.Slots[1]
    assert slots.GetAvailableSlot() is None


def test_bad_sizes_raise():
    for call in (lambda: XBufferSlot(0), lambda: XBufferSlot(-1), lambda: XBufferSlot('10'),
                 lambda: XBufferSlots(0, 10), lambda: XBufferSlots(10, 0), lambda: XBufferSlots('1', 10)):
        assert str(raises(Exception, call))


def test_a_fifo_gives_back_in_order():
    fifo = XFiFo()
    assert fifo.Empty is True
    for obj in (1, None, 'three', []):
        fifo.Put(obj)
    assert fifo.Empty is False
    assert [fifo.Get() for _ in range(4)] == [1, None, 'three', []]
    assert fifo.Empty is True


def test_an_empty_fifo_raises():
    fifo = XFiFo()
    raises(XFiFoException, fifo.Get)
    fifo.Put(1)
    fifo.Get()
    raises(XFiFoException, fifo.Get)


def test_a_fifo_is_cleared():
    fifo = XFiFo()
    fifo.Clear()
    fifo.Put(1)
    fifo.Put(2)
    fifo.Clear()
    assert fifo.Empty is True
    raises(XFiFoException, fifo.Get)
    fifo.Put(3)
    assert fifo.Get() == 3


def test_a_fifo_holds_many_and_mixes_put_and_get():
    fifo = XFiFo()
    put = got = 0
    for round in range(200):
        for _ in range(round % 7 + 1):
            fifo.Put(put)
            put += 1
        for _ in range(round % 5):
            if not fifo.Empty:
                assert fifo.Get() == got
                got += 1
    while not fifo.Empty:
        assert fifo.Get() == got
        got += 1
    assert got == put


def test_a_fifo_is_safe_between_threads():
    needs_threads()
    fifo = XFiFo()
    count = 2000
    done = [0, 0, 0]

    def put(thread):
        for number in range(count):
            fifo.Put((thread, number))
        done[thread] = 1

    for thread in range(3):
        start_new_thread(put, (thread,))
    got = [[], [], []]

    def take():
        while not fifo.Empty:
            thread, number = fifo.Get()
            got[thread].append(number)
        return sum([len(numbers) for numbers in got]) == 3 * count

    wait(take, limit_sec=20)
    assert got == [list(range(count))] * 3
    wait(lambda: done == [1, 1, 1])


def test_slots_are_safe_between_threads():
    needs_threads()
    slots = XBufferSlots(3, 8)
    twice = []
    done = [0, 0, 0]

    def use(thread):
        for _ in range(2000):
            slot = slots.GetAvailableSlot()
            if slot:
                slot.Buffer[0] = thread
                if slot.Buffer[0] != thread:
                    twice.append(thread)
                slot.Available = True
        done[thread] = 1

    for thread in range(3):
        start_new_thread(use, (thread,))
    wait(lambda: done == [1, 1, 1], limit_sec=20)
    assert not twice
    assert all([slot.Available for slot in slots.Slots])
