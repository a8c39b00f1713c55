package main

import (
	"context"
	"fmt"
	"os"
	"time"
)

type seedCommand struct{}

// Help is shown by --help.
func (seedCommand) Help() string {
	return examples("Adds categories, products, customers and orders with fixed ids through the API. What is there already stays as it is.", "shop seed")
}

// demo is what seed puts into a shop: ids and, for each, a command's payload.
type demo struct {
	plural, path, command string
	there                 []string // rejections that say: it is there already
	rows                  []demoRow
}

type demoRow struct {
	id   string
	body map[string]any
}

// replicated is how long Ordering may take to hear of the products.
const replicated = time.Minute

// Run fills the shop; again is harmless, since ids and idempotency keys are fixed.
func (seedCommand) Run(ctx context.Context, s *session) error {
	shop := s.client()
	counts, err := seed(ctx, shop)
	if err != nil {
		return err
	}
	if s.JSON {
		return s.printJSON(counts)
	}
	program := os.Args[0]
	if s.Stack != "" {
		program += " --stack " + s.Stack
	}
	s.printf(`The shop has %d categories, %d products, %d customers and %d orders of the demo.

Try next:
  curl "%[5]s/catalog/products?categoryId=lighting"
  curl "%[5]s/catalog/product-demands/desk-lamp"
  curl "%[5]s/ordering/orders?customerId=ada"
  %[6]s events Catalog.Product desk-lamp
`, counts["categories"], counts["products"], counts["customers"], counts["orders"], shop.base, program)
	return nil
}

// seed fills the shop, and says how much of each kind there is in the demo.
func seed(ctx context.Context, shop *client) (counts map[string]int, err error) {
	counts = map[string]int{}
	for _, d := range []demo{demoCategories(), demoProducts(), demoPrices(), demoCustomers(), demoOrders()} {
		if d.plural == "orders" {
			if err := available(ctx, shop); err != nil {
				return nil, err
			}
		}
		for _, r := range d.rows {
			err := shop.post(ctx, d.path+"/"+r.id+"/"+d.command, "seed-"+d.command+"-"+r.id, r.body, nil)
			if err != nil && !isProblem(err, d.there...) {
				return nil, fmt.Errorf("seed %s: %w", d.plural, err)
			}
		}
		counts[d.plural] = len(d.rows)
	}
	return counts, nil
}

// available waits until Ordering knows every product of the demo.
func available(ctx context.Context, shop *client) error {
	for _, p := range demoProducts().rows {
		late := fmt.Errorf("seed orders: Ordering has not heard of product %s within %s; see \"shop parked\", and run \"shop seed\" again", p.id, replicated)
		ctx, cancel := context.WithTimeoutCause(ctx, replicated, late)
		err := await(ctx, func() (bool, error) {
			err := shop.get(ctx, "/ordering/available-products/"+p.id, nil)
			if isProblem(err, "CatalogProductNotFound") {
				return false, nil
			}
			return err == nil, err
		})
		cancel()
		if err != nil {
			return err
		}
	}
	return nil
}

func demoCategories() demo {
	d := demo{plural: "categories", path: "/catalog/category", command: "add", there: []string{"CategoryAlreadyExists", "CategoryAlreadyArchived"}}
	for _, c := range [][2]string{
		{"lighting", "Lighting"}, {"desks", "Desks & Tables"}, {"seating", "Seating"}, {"storage", "Storage"}, {"stationery", "Stationery"},
	} {
		d.rows = append(d.rows, demoRow{c[0], map[string]any{"name": c[1]}})
	}
	return d
}

func demoProducts() demo {
	d := demo{plural: "products", path: "/catalog/product", command: "add", there: []string{"ProductAlreadyExists"}}
	for _, p := range []struct {
		id, name, description, category string
		price                           float64
	}{
		{"desk-lamp", "Desk Lamp", "An adjustable arm and a warm light.", "lighting", 39.9},
		{"floor-lamp", "Floor Lamp", "Oak tripod with a linen shade.", "lighting", 129},
		{"lamp-bulb", "LED Bulb E27", "470 lumen, 2700 kelvin, dimmable.", "lighting", 4.95},
		{"oak-desk", "Oak Desk", "140 × 70 cm, solid oak, oiled.", "desks", 549},
		{"standing-desk", "Standing Desk", "Height 65 to 128 cm, remembers three of them.", "desks", 699.5},
		{"side-table", "Side Table", "Powder-coated steel, 45 cm.", "desks", 59},
		{"office-chair", "Office Chair", "Mesh back, adjustable armrests.", "seating", 289},
		{"stool", "Stool", "Ash, stackable.", "seating", 79},
		{"reading-chair", "Reading Chair", "Wool cover, beech legs.", "seating", 459},
		{"bookshelf", "Bookshelf", "Five shelves, 80 × 190 cm.", "storage", 199},
		{"drawer-unit", "Drawer Unit", "On castors, with a lock.", "storage", 149},
		{"archive-box", "Archive Box", "Acid-free board, for A4.", "storage", 6.5},
		{"notebook", "Notebook", "Dotted, 192 pages, lies flat.", "stationery", 12.5},
		{"fountain-pen", "Fountain Pen", "Steel nib, medium.", "stationery", 24},
		{"ink", "Ink, Blue-Black", "50 ml, permanent.", "stationery", 9.8},
	} {
		d.rows = append(d.rows, demoRow{p.id, map[string]any{"name": p.name, "description": p.description, "price": p.price, "categoryId": p.category}})
	}
	return d
}

// demoPrices gives two products a history.
func demoPrices() demo {
	return demo{plural: "price changes", path: "/catalog/product", command: "update-price", rows: []demoRow{
		{"desk-lamp", map[string]any{"price": 34.9}}, {"notebook", map[string]any{"price": 11.9}},
	}}
}

func demoCustomers() demo {
	d := demo{plural: "customers", path: "/ordering/customer", command: "register", there: []string{"CustomerAlreadyRegistered", "CustomerAlreadyDeactivated"}}
	for _, c := range [][3]string{
		{"ada", "ada@example.com", "12 St James's Square, London"},
		{"grace", "grace@example.com", "1 Navy Yard, Arlington"},
		{"katherine", "katherine@example.com", "100 NASA Road, Hampton"},
		{"alan", "alan@example.com", "Sackville Street, Manchester"},
	} {
		d.rows = append(d.rows, demoRow{c[0], map[string]any{"email": c[1], "address": c[2]}})
	}
	return d
}

func demoOrders() demo {
	d := demo{plural: "orders", path: "/ordering/order", command: "place", there: []string{"OrderAlreadyPlaced", "OrderAlreadyShipped", "OrderAlreadyCancelled"}}
	for _, o := range []struct {
		id, customer string
		products     []string
	}{
		{"order-1001", "ada", []string{"desk-lamp", "lamp-bulb", "notebook"}},
		{"order-1002", "grace", []string{"standing-desk", "office-chair", "desk-lamp"}},
		{"order-1003", "katherine", []string{"fountain-pen", "ink", "notebook"}},
		{"order-1004", "alan", []string{"bookshelf", "archive-box"}},
		{"order-1005", "ada", []string{"reading-chair", "floor-lamp", "lamp-bulb"}},
		{"order-1006", "grace", []string{"notebook", "ink"}},
	} {
		d.rows = append(d.rows, demoRow{o.id, map[string]any{"customerId": o.customer, "productIds": o.products}})
	}
	return d
}
